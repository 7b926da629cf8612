"""A pair of tables, looked at on both sides and ready to be compared."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from itertools import islice

from dual_write.canonical import Kind
from dual_write.computing import computed
from dual_write.convert import Converter
from dual_write.digest_columns import (
    HASHED_AS_TEXT,
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
from dual_write.digest_types import COMPUTED, Declared, meeting_kind
from dual_write.errors import CheckFailed, SchemaError
from dual_write.mapping import Column, Part, TableFlow
from dual_write.names import quote
from dual_write.relation import source_relation, target_relation
from dual_write.tolerance import Tolerance


@dataclass(frozen=True, slots=True)
class TablePair:
    """A flow with its columns' kinds and a reader and a query for each side.

    ``pushed_down``: both servers can digest the rows by themselves. ``functions`` compute the source's
    columns at their positions.
    """

    flow: TableFlow
    columns: ComparedColumns
    source: SideReader
    target: SideReader
    source_query: Query
    target_query: Query
    pushed_down: bool
    functions: Mapping[int, Converter]

    def computed(self, source: Rows) -> Rows:
        """The source's rows with what functions make of them. Raises CheckFailed where one fails."""
        if not self.functions:
            return source
        try:
            return [
                tuple(
                    self.functions[at](value) if at in self.functions and value is not None else value
                    for at, value in enumerate(row)
                )
                for row in source
            ]
        except ValueError as error:
            raise CheckFailed(
                f"table {self.flow.target!r}: {error}, so it cannot be compared; mend the row or the "
                "function (`strangler status` shows parked keys), and check again"
            ) from error

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
        left = iter(keys)
        while some := list(islice(left, self.source.pace.rows(together))):
            source, target = self.read(partial(_by_key, some))
            ours = {self.columns.key_of(row): row for row in self.computed(source)}
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
    relation: str
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
            self.relation.replace("%", "%%" if postgresql else "%"),
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
            tuple(hash_expression(sql, column.kind, its, column.opposite(its)) for sql, column, its in mapped)
            if compared.pushed_down
            else (),
            frozenset(at for at, column in enumerate(compared.columns) if column.kind in HASHED_AS_TEXT),
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
        encoding is not None
        and encoding == target.digests_as
        and all(column.hashable for column in columns)
        and not flow.computed
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
        source_relation(flow, source.table_sql, distinct=True),
        tuple(column.expression for column in flow.columns),
        flow.source_key,
        tuple(column.source for column in columns),
    )
    theirs = _Half(
        target,
        flow.target,
        target_relation(flow, target.table_sql),
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
        {at: computed(column.python) for at, column in enumerate(flow.columns) if column.python},
    )


def _compared(flow: TableFlow, source: SideReader, target: SideReader) -> tuple[ComparedColumn, ...]:
    found: dict[str, Declared] = {}
    for part in flow.parts or (Part(flow.source, flow.source, flow.source_key, flow.columns),):
        # What several tables fill is judged by the first that says of which type it is.
        for name, declared in _declared(part, source).items():
            if name not in found or found[name].kind is Kind.DYNAMIC:
                found[name] = declared
    theirs = target.columns(flow.target)

    def compared(column: Column) -> ComparedColumn:
        wanted = _column(theirs, column.target, target.role, flow.target)
        kind = meeting_kind(found[column.target], wanted, f"{flow.target}.{column.target}")
        across = source.postgresql != target.postgresql
        return ComparedColumn(
            column.target, kind, found[column.target], wanted, across, _tolerance(flow, column.target, kind)
        )

    return tuple(map(compared, flow.columns))


def _tolerance(flow: TableFlow, name: str, kind: Kind) -> Tolerance | None:
    amount = dict(flow.tolerance).get(name)
    if amount is None:
        return None
    tolerance = Tolerance.of(amount)
    if not tolerance.fits(kind):
        raise SchemaError(
            f"column {flow.target}.{name} is compared as {kind}, of which a tolerance of {amount!r} says "
            "nothing; write 0.01 or '1%' for numbers, and '2s' for times"
        )
    return tolerance


def _declared(part: Part, source: SideReader) -> dict[str, Declared]:
    """The types of what one table fills."""
    ours = source.columns(part.table)
    computed = [column for column in part.columns if column.source is None]
    types = source.expressions(part.table, [column.expression for column in computed])
    declared = {column.target: type_ for column, type_ in zip(computed, types, strict=True)}
    return (
        declared
        | {
            column.target: _column(ours, column.source, source.role, part.table)
            for column in part.columns
            if column.source is not None
        }
        | {column.target: Declared(COMPUTED, Kind.DYNAMIC) for column in part.columns if column.python}
    )


def _column(columns: Mapping[str, Declared], name: str, role: str, table: str) -> Declared:
    if name in columns:
        return columns[name]
    close = difflib.get_close_matches(name, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(columns)}."
    raise SchemaError(
        f"{role} table {table!r} has no column {name!r}; {hint} Correct the mapping in the plan."
    )


def _collated_alike(flow: TableFlow, source: SideReader, target: SideReader) -> bool:
    # Rows of several tables are in no index's order.
    if flow.parts or not source.postgresql:
        return False
    ours, theirs = source.collations(flow.source), target.collations(flow.target)
    return all(
        ours.get(one) == theirs.get(other)
        for one, other in zip(flow.source_key, flow.target_key, strict=True)
    )
