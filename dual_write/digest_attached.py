"""Two SQLite files compared inside the engine: one attaches the other, and answers for a range at a time."""

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

from dual_write.canonical import Kind
from dual_write.digest import Chunk, Streamed, Stride
from dual_write.digest_columns import ComparedColumn
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Query, Range, Statement
from dual_write.digest_reader import Rows
from dual_write.digest_screen import Answer, Screened
from dual_write.errors import CheckFailed

ATTACHED_ROWS = 10_000
_ATTACHED = "strangler_target"


class Attached:
    """Each range takes one short statement; rows are read here only of a range that differs."""

    def __init__(self, pair: TablePair, rows: Stride, streamed: Streamed) -> None:
        self._pair = pair
        self._streamed = streamed
        self._screened = Screened(pair, rows, self._question, streamed)

    def chunks(self, after: Key | None = None) -> Iterator[Chunk]:
        """Everything after a key."""
        pair = self._pair
        if not pair.source.attach(pair.target, _ATTACHED):
            yield from self._streamed.chunks(after)
            return
        try:
            yield from self._screened.chunks(after)
        finally:
            # Else a table that only the target has would be found at the source.
            pair.source.detach(_ATTACHED)

    def _question(self, within: Range) -> Answer:
        return partial(_alike, self._pair.source.ask(_equal_rows(self._pair, within)))


def _alike(answer: Future[Rows]) -> int | None:
    """The number of rows, if all are alike. Whatever else is the matter shows when each side is read."""
    try:
        [(source, target, equal)] = answer.result()
    except CheckFailed:
        return None
    return source if source == target == equal else None


def attachable(pair: TablePair) -> bool:
    """Whether the engine can compare these tables: two files, and columns that both declare alike, so that
    their stored values are equal only if their meanings are.
    """
    return (
        not (pair.flow.parts or pair.flow.owned or pair.functions)  # those are relations, and not tables
        and pair.source.file is not None
        and pair.target.file is not None
        and all(
            column.source.name and column.kind is column.source.kind is column.target.kind is not Kind.DYNAMIC
            for column in pair.columns.columns
        )
    )


def _equal_rows(pair: TablePair, within: Range) -> Statement:
    """How many rows of the range the source has, how many the target, and how many are equal on both."""
    ours, theirs = pair.source_query, pair.target_query
    where, values = ours.where(within)
    behind, ends = theirs.where(within)
    target = f"{_ATTACHED}.{theirs.table}"
    same_key = " AND ".join(f"s.k{number} = t.k{number}" for number in range(len(ours.keys)))
    same = " AND ".join(_same(column, number) for number, column in enumerate(pair.columns.columns))
    sql = (
        f"SELECT (SELECT count(*) FROM main.{ours.table}{where}), (SELECT count(*) FROM {target}{behind}), "
        f"(SELECT count(*) FROM ({_selected(ours)} FROM main.{ours.table}{where}) AS s "
        f"CROSS JOIN ({_selected(theirs)} FROM {target}) AS t WHERE {same_key} AND {same})"
    )
    return sql, (*values, *ends, *values)


def _selected(query: Query) -> str:
    keys = [f"{column.match} AS k{number}" for number, column in enumerate(query.keys)]
    return f"SELECT {', '.join([*keys, *(f'{sql} AS c{at}' for at, sql in enumerate(query.columns))])}"


def _same(column: ComparedColumn, number: int) -> str:
    # The sign takes away what affinities would turn into each other, and BINARY the columns' collations.
    same = f"+s.c{number} IS +t.c{number} COLLATE BINARY"
    # A column without affinity can hold 1 as well as 1.0.
    return f"{same} AND typeof(s.c{number}) = typeof(t.c{number})" if column.kind is Kind.BYTES else same
