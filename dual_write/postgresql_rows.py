"""PostgreSQL's rows: read through a mapping and written idempotently, every value in its type's text form."""

import json
from collections.abc import Mapping, Sequence

import psycopg

from dual_write.errors import SchemaError
from dual_write.keys import postgresql_expression
from dual_write.mapping import TableFlow
from dual_write.names import quote, table_name
from dual_write.postgresql_session import PostgreSQLSession, array, native
from dual_write.relation import one_key_form, source_relation
from dual_write.rows import AMBIGUOUS, Reader, Row, Session, TypeName, Writer

_TYPES = """
SELECT t.oid, CASE WHEN t.typtype = 'd' THEN b.typname WHEN t.typtype = 'e' THEN 'enum' ELSE t.typname END,
       format('%I.%I', n.nspname, t.typname)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_type AS b ON b.oid = t.typbasetype
WHERE t.oid = ANY($1::oid[])
"""
_COLUMNS = """
SELECT a.attname, a.atttypid FROM pg_attribute AS a
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""

_PARTS = json.JSONDecoder(parse_float=str, parse_int=str)
_FORMS = {"int2": "integer", "int4": "integer", "int8": "integer", "varchar": "text"}
"""Types whose values have the same text as a key."""


def literal(value: str) -> str:
    """A string literal, whatever the session's settings."""
    if "\\" in value:
        return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + value.replace("'", "''") + "'"


def may_replicate(session: Session) -> bool:
    """Whether triggers and foreign key actions can be put to sleep for a transaction."""
    [(may,)] = session.execute("SELECT has_parameter_privilege('session_replication_role', 'SET')")
    return bool(may)


def types_of(session: PostgreSQLSession, oids: Sequence[int]) -> list[TypeName]:
    known = {oid: TypeName(base, cast) for oid, base, cast in session.native(_TYPES, list(set(oids)))}
    return [known[oid] for oid in oids]


def writable_columns(session: Session, table: str) -> Mapping[str, TypeName]:
    own = native(session)
    rows = own.native(_COLUMNS, table_name(table))
    return dict(zip((name for name, _ in rows), types_of(own, [oid for _, oid in rows]), strict=True))


def key_expression(values: Sequence[str], types: Sequence[TypeName]) -> str:
    """As ``keys.postgresql_expression``."""
    return postgresql_expression(values, [type_.base for type_ in types])


def _key_types(session: Session, flow: TableFlow) -> list[TypeName]:
    tables = [(part.table, part.key) for part in flow.parts] or [(flow.source, flow.source_key)]
    types: list[list[TypeName]] = []
    for table, key in tables:
        known = writable_columns(session, table)
        if missing := [column for column in key if column not in known]:
            raise SchemaError(f"table {table!r} has no key column {missing[0]!r}; run `strangler doctor`")
        types.append([known[column] for column in key])
    if flow.parts:
        one_key_form(flow, [[_FORMS.get(column.base, column.base) for column in each] for each in types])
    # Where types differ in width alone, the widest can hold every key.
    return [max(column, key=lambda type_: type_.base) for column in zip(*types, strict=True)]


def _keyed(row: Row) -> tuple[str, Row]:
    return row[1], row[2:] if row[0] == 1 else AMBIGUOUS


class PostgreSQLReader(Reader):
    """Rows as text. The source casts to the target's types where both are PostgreSQL."""

    def __init__(self, session: Session, flow: TableFlow, wanted: Sequence[TypeName | None] | None) -> None:
        self._table = source_relation(flow, table_name)
        self._tables = [table_name(part.table) for part in flow.parts] or [self._table]
        self._plain = flow.source
        self._names = [quote(column) for column in flow.source_key]
        self._listed = ", ".join(self._names)
        self.key_types = _key_types(session, flow)
        self._key = key_expression(self._names, self.key_types)
        parts = (f"(k.text::jsonb ->> {index})::{type_.cast}" for index, type_ in enumerate(self.key_types))
        self._decoded = f"SELECT {', '.join(parts)} FROM unnest($1::text[]) AS k(text)"
        expressions = [column.expression for column in flow.columns]
        self.expressions = self._typed(native(session), expressions, wanted)
        # How many tables hold the key comes first: where it may be more than one, the row says so.
        times = f"count(*) OVER (PARTITION BY {self._listed})" if flow.union else "1"
        # Names of their own: ORDER BY would take a column's text, which sorts otherwise, for the column.
        selected = ", ".join(
            f"({expression})::text AS strangler_{number}"
            for number, expression in enumerate(self.expressions)
        )
        self._selected = f"SELECT {times}, {self._key}, {selected} FROM {self._table}"

    def _typed(
        self, session: PostgreSQLSession, expressions: Sequence[str], wanted: Sequence[TypeName | None] | None
    ) -> list[str]:
        try:
            with session.savepoint():
                query = f"SELECT {', '.join(expressions)} FROM {self._table} LIMIT 0"
                self.types = types_of(session, session.describe(query))
                if wanted is None:
                    return list(expressions)
                casts = [
                    expression
                    if to is None or own.base == to.base or not to.cast.startswith("pg_catalog.")
                    else f"({expression})::{to.cast}"
                    for expression, own, to in zip(expressions, self.types, wanted, strict=True)
                ]
                session.describe(f"SELECT {', '.join(casts)} FROM {self._table} LIMIT 0")
                return casts
        except psycopg.Error as error:
            said = str(error).splitlines()[0]
            raise SchemaError(
                f"the mapping of table {self._plain!r} cannot be read: {said}; "
                "correct its columns in the plan"
            ) from error

    def rows(self, session: Session, keys: Sequence[str]) -> dict[str, Row]:
        found = native(session).native(
            f"{self._selected} WHERE ({self._listed}) IN ({self._decoded})",
            array(keys),
        )
        return dict(map(_keyed, found))

    def chunk(self, session: Session, after: str | None, limit: int) -> list[tuple[str, Row]]:
        rows = session.execute(
            f"{self._selected} WHERE {self.behind(after)} ORDER BY {self._listed} LIMIT {limit}"
        )
        return list(map(_keyed, rows))

    def keys(self, session: Session, after: str | None, limit: int) -> list[str]:
        rows = session.execute(
            f"SELECT {self._key} FROM {self._table} WHERE {self.behind(after)} "
            f"ORDER BY {self._listed} LIMIT {limit}"
        )
        return [key for (key,) in rows]

    def upper(self, session: Session, after: str | None, limit: int) -> str | None:
        """The key of the ``limit``-th row behind ``after``, or None when there are fewer."""
        rows = session.execute(
            f"SELECT {self._key} FROM {self._table} WHERE {self.behind(after)} "
            f"ORDER BY {self._listed} OFFSET {limit - 1} LIMIT 1"
        )
        return rows[0][0] if rows else None

    def copy_query(self, after: str | None, upper: str | None) -> str:
        """The key text and the typed columns of the rows behind ``after`` up to ``upper``."""
        until = f" AND ({self._listed}) <= ({self._values(upper)})" if upper is not None else ""
        return (
            f"SELECT {self._key}, {', '.join(self.expressions)} FROM {self._table} "
            f"WHERE {self.behind(after)}{until}"
        )

    def values(self, key: str) -> Row:
        return tuple(map(_raw, _PARTS.decode(key)))

    def delivered(self, session: Session, keys: Sequence[str]) -> list[Row]:
        return native(session).native(self._decoded, list(keys))

    def estimate(self, session: Session) -> int:
        [(count,)] = native(session).native(
            "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint "
            "FROM unnest($1::text[]) AS t(name), pg_partition_tree(t.name::regclass) AS p "
            "JOIN pg_class AS c ON c.oid = p.relid",
            self._tables,
        )
        if count < 100_000:
            [(count,)] = session.execute(f"SELECT count(*) FROM {self._table}")
        return int(count)

    def behind(self, after: str | None) -> str:
        return "true" if after is None else f"({self._listed}) > ({self._values(after)})"

    def _values(self, key: str) -> str:
        return ", ".join(
            f"{'NULL' if value is None else literal(str(value))}::{type_.cast}"
            for value, type_ in zip(self.values(key), self.key_types, strict=True)
        )


class PostgreSQLWriter(Writer):
    """A table written to by key; whole batches go in one statement."""

    def __init__(self, session: Session, flow: TableFlow) -> None:
        table, key, columns = flow.target, flow.target_key, [column.target for column in flow.columns]
        self.table = table_name(table)
        self._owned = f" AND ({flow.owned})" if flow.owned else ""
        known = writable_columns(session, table)
        if missing := [column for column in (*columns, *key) if column not in known]:
            raise SchemaError(f"table {table!r} has no column {missing[0]!r}; correct the plan or the schema")
        self.types = [known[column] for column in columns]
        self.key_types = [known[column] for column in key]
        self.replaceable = set(columns) == set(known) and may_replicate(session)
        self._key = [quote(column) for column in key]
        self.names = [quote(column) for column in columns]
        updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in self.names if name not in self._key)
        self.conflict = f"ON CONFLICT ({', '.join(self._key)}) DO " + (
            f"UPDATE SET {updates}" if updates else "NOTHING"
        )
        self._upsert = (
            f"INSERT INTO {self.table} ({', '.join(self.names)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {_casts(self.types)} FROM {_unnested(len(self.types))} {self.conflict}"
        )
        self._listed = f"SELECT {_casts(self.key_types)} FROM {_unnested(len(key))}"

    def upsert(self, session: Session, rows: Sequence[Row]) -> None:
        native(session).arrays(self._upsert, rows)

    def delete(self, session: Session, keys: Sequence[Row]) -> None:
        native(session).arrays(
            f"DELETE FROM {self.table} WHERE ({', '.join(self._key)}) IN ({self._listed})", keys
        )

    def stored(self, session: Session, keys: Sequence[Row]) -> list[str]:
        # In two steps: after a wait for a lock the key must be read anew.
        where = f"({', '.join(self._key)}) IN ({self._listed})"
        native(session).arrays(f"SELECT 1 FROM {self.table} WHERE {where} FOR UPDATE", keys)
        text = key_expression(self._key, self.key_types)
        rows = native(session).arrays(f"SELECT {text} FROM {self.table} WHERE {where}", keys)
        return [key for (key,) in rows]

    def empty(self, session: Session) -> bool:
        return not session.execute(f"SELECT 1 FROM {self.table} LIMIT 1")

    def stage(self, session: Session, keys: Sequence[Row]) -> None:
        if not session.execute("SELECT 1 FROM pg_class WHERE oid = to_regclass('pg_temp.strangler_kept')"):
            session.execute(
                f"CREATE TEMP TABLE strangler_kept ON COMMIT DROP AS "
                f"SELECT {', '.join(self._key)} FROM {self.table} LIMIT 0"
            )
        if keys:
            native(session).arrays(f"INSERT INTO pg_temp.strangler_kept {self._listed}", keys)

    def sweep(self, session: Session) -> None:
        self.stage(session, [])
        session.execute("ANALYZE pg_temp.strangler_kept")
        same = " AND ".join(f"k.{column} = t.{column}" for column in self._key)
        session.execute(
            f"DELETE FROM {self.table} AS t "
            f"WHERE NOT EXISTS (SELECT 1 FROM pg_temp.strangler_kept AS k WHERE {same}){self._owned}"
        )
        session.execute("DROP TABLE pg_temp.strangler_kept")


def _casts(types: Sequence[TypeName]) -> str:
    return ", ".join(f"r.c{index}::{type_.cast}" for index, type_ in enumerate(types))


def _unnested(width: int) -> str:
    arrays = ", ".join(f"${index + 1}::text[]" for index in range(width))
    return f"unnest({arrays}) AS r({', '.join(f'c{index}' for index in range(width))})"


def _raw(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
