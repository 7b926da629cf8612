"""SQLite's rows: read through a mapping, written idempotently."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dual_write import keys
from dual_write.digest_types import sqlite_type
from dual_write.errors import SchemaError
from dual_write.mapping import TableFlow
from dual_write.names import quote
from dual_write.relation import one_key_form, source_relation
from dual_write.rows import AMBIGUOUS, Reader, Row, Session, TypeName, Writer

# Half of what SQLite takes as variables in one statement.
_VARIABLES = 16_000


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def writable_columns(session: Session, table: str) -> Mapping[str, TypeName]:
    rows = session.execute("SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0", table)
    return {name: TypeName(declared.lower()) for name, declared in rows}


def rowid_column(session: Session, table: str) -> str | None:
    """The INTEGER PRIMARY KEY, if the table has one."""
    rows = session.execute("SELECT name, lower(type) FROM pragma_table_xinfo(?) WHERE pk > 0", table)
    return rows[0][0] if len(rows) == 1 and rows[0][1] == "integer" else None


def key_types(session: Session, table: str, key: Sequence[str]) -> list[TypeName]:
    known = writable_columns(session, table)
    try:
        return [known[column] for column in key]
    except KeyError as error:
        raise SchemaError(
            f"table {table!r} has no column {error.args[0]!r}; the schema changed, run `strangler doctor`"
        ) from error


def _key_types(session: Session, flow: TableFlow) -> list[TypeName]:
    if not flow.parts:
        return key_types(session, flow.source, flow.source_key)
    types = [key_types(session, part.table, part.key) for part in flow.parts]
    one_key_form(flow, [[sqlite_type(column.base).kind for column in each] for each in types])
    return types[0]


class SQLiteReader(Reader):
    """Values are those SQLite stores: its types belong to values, not to columns."""

    def __init__(self, session: Session, flow: TableFlow) -> None:
        self._table = source_relation(flow, quote)
        self._columns = [quote(column) for column in flow.source_key]
        self._listed = ", ".join(self._columns)
        self._width = len(self._columns)
        expressions = [column.expression for column in flow.columns]
        # How many tables hold the key comes first: where it may be more than one, the row says so.
        times = f"count(*) OVER (PARTITION BY {self._listed})" if flow.union else "1"
        self._selected = f"SELECT {times}, {self._listed}, {', '.join(expressions)} FROM {self._table}"
        self.key_types = _key_types(session, flow)
        self.types = [TypeName("")] * len(expressions)
        try:
            session.execute(f"{self._selected} LIMIT 0")
        except sqlite3.OperationalError as error:
            raise SchemaError(
                f"the mapping of table {flow.source!r} cannot be read: {error}; "
                "correct its columns in the plan"
            ) from error

    def rows(self, session: Session, keys_: Sequence[str]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for part in _parts([keys.decode(key) for key in keys_], self._width):
            where, values = _membership(self._columns, part)
            found |= map(self._keyed, session.execute(f"{self._selected} WHERE {where}", *values))
        return found

    def chunk(self, session: Session, after: str | None, limit: int) -> list[tuple[str, Row]]:
        return list(map(self._keyed, self._behind(session, self._selected, after, limit)))

    def _keyed(self, row: Row) -> tuple[str, Row]:
        end = self._width + 1
        return keys.encode(row[1:end]), row[end:] if row[0] == 1 else AMBIGUOUS

    def keys(self, session: Session, after: str | None, limit: int) -> list[str]:
        rows = self._behind(session, f"SELECT {self._listed} FROM {self._table}", after, limit)
        return [keys.encode(row) for row in rows]

    def values(self, key: str) -> Row:
        return keys.decode(key)

    def delivered(self, session: Session, keys_: Sequence[str]) -> list[Row]:  # noqa: ARG002 - the text has it all
        return [keys.decode(key) for key in keys_]

    def estimate(self, session: Session) -> int:
        [(count,)] = session.execute(f"SELECT count(*) FROM {self._table}")
        return int(count)

    def _behind(self, session: Session, select: str, after: str | None, limit: int) -> list[Row]:
        if after is None:
            return session.execute(f"{select} ORDER BY {self._listed} LIMIT ?", limit)
        marks = ", ".join("?" * self._width)
        where = f"({self._listed}) > ({marks})"
        return session.execute(
            f"{select} WHERE {where} ORDER BY {self._listed} LIMIT ?", *keys.decode(after), limit
        )


class SQLiteWriter(Writer):
    """A table written to by key."""

    def __init__(self, session: Session, flow: TableFlow) -> None:
        table, key, columns = flow.target, flow.target_key, [column.target for column in flow.columns]
        self._table = quote(table)
        self._owned = f" AND ({flow.owned})" if flow.owned else ""
        self._key = [quote(column) for column in key]
        names = [quote(column) for column in columns]
        known = writable_columns(session, table)
        missing = [column for column in columns if column not in known]
        if missing:
            raise SchemaError(f"table {table!r} has no column {missing[0]!r}; correct the plan or the schema")
        self.key_types = key_types(session, table, key)
        self.types = [known[column] for column in columns]
        self.replaceable = set(columns) == set(known)
        updates = ", ".join(f"{name} = excluded.{name}" for name in names if name not in self._key)
        self._upsert = (
            f"INSERT INTO {self._table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({', '.join(self._key)}) DO {f'UPDATE SET {updates}' if updates else 'NOTHING'}"
        )

    def upsert(self, session: Session, rows: Sequence[Row]) -> None:
        for row in rows:
            session.execute(self._upsert, *row)

    def delete(self, session: Session, keys_: Sequence[Row]) -> None:
        for part in _parts(keys_, len(self._key)):
            where, values = _membership(self._key, part)
            session.execute(f"DELETE FROM {self._table} WHERE {where}", *values)

    def stored(self, session: Session, keys_: Sequence[Row]) -> list[str]:
        found: list[str] = []
        for part in _parts(keys_, len(self._key)):
            where, values = _membership(self._key, part)
            listed = ", ".join(self._key)
            rows = session.execute(f"SELECT {listed} FROM {self._table} WHERE {where}", *values)
            found += [keys.encode(row) for row in rows]
        return found

    def empty(self, session: Session) -> bool:
        return not session.execute(f"SELECT 1 FROM {self._table} LIMIT 1")

    def stage(self, session: Session, keys_: Sequence[Row]) -> None:
        listed = ", ".join(self._key)
        if not session.execute("SELECT 1 FROM sqlite_temp_master WHERE name = 'strangler_kept'"):
            session.execute(f"CREATE TEMP TABLE strangler_kept AS SELECT {listed} FROM {self._table} LIMIT 0")
            session.execute(f"CREATE INDEX temp.strangler_kept_key ON strangler_kept ({listed})")
        insert = f"INSERT INTO temp.strangler_kept VALUES ({', '.join('?' * len(self._key))})"
        for key in keys_:
            session.execute(insert, *key)

    def sweep(self, session: Session) -> None:
        self.stage(session, [])
        same = " AND ".join(f"k.{column} = t.{column}" for column in self._key)
        session.execute(
            f"DELETE FROM {self._table} AS t WHERE NOT EXISTS "
            f"(SELECT 1 FROM temp.strangler_kept AS k WHERE {same}){self._owned}"
        )
        session.execute("DROP TABLE temp.strangler_kept")


def _parts(rows: Sequence[Row], width: int) -> Iterator[Sequence[Row]]:
    size = _VARIABLES // width
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _membership(columns: Sequence[str], rows: Sequence[Row]) -> tuple[str, list[Any]]:
    if len(columns) == 1:
        return f"{columns[0]} IN ({', '.join('?' * len(rows))})", [row[0] for row in rows]
    one = f"({', '.join('?' * len(columns))})"
    listed = ", ".join([one] * len(rows))
    return f"({', '.join(columns)}) IN (VALUES {listed})", [value for row in rows for value in row]
