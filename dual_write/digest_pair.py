"""A pair of tables, looked at on both sides and ready to be compared."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from dual_write.canonical import Kind
from dual_write.digest_columns import (
    ComparedColumn,
    ComparedColumns,
    Row,
    hash_expression,
    stored_expression,
    wire_expression,
)
from dual_write.digest_keys import Key, key_column
from dual_write.digest_query import Query, Statement
from dual_write.digest_reader import Rows, SideReader
from dual_write.digest_types import Declared, meeting_kind
from dual_write.errors import SchemaError
from dual_write.mapping import Column, TableFlow
from dual_write.sqlite_rows import quote


@dataclass(frozen=True, slots=True)
class TablePair:
    """A flow with its columns' kinds and a reader and a query for each side.

    ``pushed_down``: both servers can digest the rows by themselves.
    """

    flow: TableFlow
    columns: ComparedColumns
    source: SideReader
    target: SideReader
    source_query: Query
    target_query: Query
    pushed_down: bool

    def ask(self, statement: Callable[[Query], Statement]) -> tuple[Future[Rows], Future[Rows]]:
        """The same question to both sides at once."""
        return (
            self.source.ask(statement(self.source_query), binary=True),
            self.target.ask(statement(self.target_query), binary=True),
        )

    def read(self, statement: Callable[[Query], Statement]) -> tuple[Rows, Rows]:
        source, target = self.ask(statement)
        return source.result(), target.result()

    def rows(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Row | None, Row | None]]:
        """The rows that both sides hold under these keys now, None where there is none."""
        found: dict[Key, tuple[Row | None, Row | None]] = {}
        together = min(self.source_query.lookup, self.target_query.lookup)
        for start in range(0, len(keys), together):
            some = keys[start : start + together]
            source, target = self.read(partial(_by_key, some))
            ours = {self.columns.key_of(row): row for row in source}
            theirs = {self.columns.key_of(row): row for row in target}
            found |= {key: (ours.get(key), theirs.get(key)) for key in some}
        return found


def _by_key(keys: Sequence[Key], query: Query) -> Statement:
    return query.by_key(keys)


@dataclass(frozen=True, slots=True)
class _Half:
    """One side of a pair, before it is known how the two are compared."""

    side: SideReader
    table: str
    expressions: tuple[str, ...]
    key: tuple[str, ...]
    declared: tuple[Declared, ...]

    def query(self, compared: "_Compared") -> Query:
        """The driver of PostgreSQL reads % as the start of a placeholder, wherever it stands."""
        postgresql = self.side.postgresql
        expressions = tuple(
            expression.replace("%", "%%") if postgresql else expression for expression in self.expressions
        )
        mapped = list(zip(expressions, compared.columns, self.declared, strict=True))
        return Query(
            self.side.table_sql(self.table).replace("%", "%%" if postgresql else "%"),
            tuple(
                key_column(
                    quote(name).replace("%", "%%" if postgresql else "%"),
                    compared.columns[at].kind,
                    self.declared[at],
                    postgresql=postgresql,
                    collated_alike=compared.collated_alike,
                )
                for name, at in zip(self.key, compared.key, strict=True)
            ),
            tuple(
                stored_expression(sql, column.kind, its, column.opposite(its))
                if column.across
                else wire_expression(sql, column.kind, its)
                for sql, column, its in mapped
            )
            if postgresql
            else expressions,
            compared.key,
            tuple(hash_expression(sql, column.kind, its) for sql, column, its in mapped)
            if compared.pushed_down
            else (),
            [compared.columns[at].kind for at in compared.key] == [Kind.INTEGER],
            "%s" if postgresql else "?",
        )


@dataclass(frozen=True, slots=True)
class _Compared:
    """What both halves have to agree on."""

    columns: tuple[ComparedColumn, ...]
    key: tuple[int, ...]
    pushed_down: bool
    collated_alike: bool


def table_pair(
    flow: TableFlow,
    source: SideReader,
    target: SideReader,
    *,
    push_down: bool = True,
    nullable: bool = False,
) -> TablePair:
    """Look at both tables; with ``push_down`` the servers digest their rows themselves where they can.

    With ``nullable`` rows may have NULL for a key: whoever reads them by key leaves them out.

    Raises SchemaError for a table, column, type or key that cannot be compared.
    """
    columns = _compared(flow, source, target)
    names = tuple(column.target for column in flow.columns)
    encoding = source.digests_as if push_down else None
    pushed_down = (
        encoding is not None and encoding == target.digests_as and all(column.hashable for column in columns)
    )
    compared = _Compared(
        columns,
        tuple(names.index(name) for name in flow.target_key),
        pushed_down,
        # Only ranges may follow a collation: rows that are read here are put in order bytewise.
        pushed_down and _collated_alike(flow, source, target),
    )
    ours = _Half(
        source,
        flow.source,
        tuple(column.expression for column in flow.columns),
        flow.source_key,
        tuple(column.source for column in columns),
    )
    theirs = _Half(
        target,
        flow.target,
        tuple(map(quote, names)),
        flow.target_key,
        tuple(column.target for column in columns),
    )
    for half in (ours, theirs):
        if not nullable and half.side.read(half.query(compared).keyless()):
            raise SchemaError(
                f"{half.side.role} table {half.table!r} has rows without a key, which cannot be told apart; "
                "give them one, or choose another key for the table"
            )
    return TablePair(
        flow,
        ComparedColumns(columns, compared.key),
        source,
        target,
        ours.query(compared),
        theirs.query(compared),
        pushed_down,
    )


def _compared(flow: TableFlow, source: SideReader, target: SideReader) -> tuple[ComparedColumn, ...]:
    ours, theirs = source.columns(flow.source), target.columns(flow.target)
    computed = [column for column in flow.columns if column.source is None]
    types = dict(
        zip(
            (column.target for column in computed),
            source.expressions(flow.source, [column.expression for column in computed]),
            strict=True,
        )
    )

    def compared(column: Column) -> ComparedColumn:
        if column.source is None:
            found = types[column.target]
        else:
            found = _column(ours, column.source, source.role, flow.source)
        wanted = _column(theirs, column.target, target.role, flow.target)
        kind = meeting_kind(found, wanted, f"{flow.target}.{column.target}")
        return ComparedColumn(column.target, kind, found, wanted, source.postgresql != target.postgresql)

    return tuple(map(compared, flow.columns))


def _column(columns: Mapping[str, Declared], name: str, role: str, table: str) -> Declared:
    if name in columns:
        return columns[name]
    close = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}."
    raise SchemaError(
        f"{role} table {table!r} has no column {name!r}; {hint} Correct the mapping in the plan."
    )


def _collated_alike(flow: TableFlow, source: SideReader, target: SideReader) -> bool:
    ours, theirs = source.collations(flow.source), target.collations(flow.target)
    return source.postgresql and all(
        ours.get(one) == theirs.get(other)
        for one, other in zip(flow.source_key, flow.target_key, strict=True)
    )
