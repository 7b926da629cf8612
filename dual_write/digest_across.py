"""PostgreSQL and SQLite: the server digests its columns, and what SQLite delivers is digested here."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from dual_write.digest import Streamed, Stride
from dual_write.digest_packing import Digests, Marks, Packing, packing
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Range
from dual_write.digest_reader import Rows
from dual_write.digest_screen import Answer, Screened
from dual_write.errors import CheckFailed

ACROSS_ROWS = 10_000


class Across:
    """Of a range that is alike PostgreSQL sends a digest for each column, and no row."""

    def __init__(self, pair: TablePair, packings: Sequence[Packing]) -> None:
        sides = (pair.source, pair.source_query), (pair.target, pair.target_query)
        self._server, self._file = sides if pair.source.postgresql else sides[::-1]
        self._bounds = pair.source.postgresql
        self._packings = packings
        self._marks = Marks.drawn()
        self._packed = [packing.sql(f"c{at}", self._marks) for at, packing in enumerate(packings)]

    def question(self, within: Range) -> Answer:
        """Whether both sides have the same rows in it."""
        (server, theirs), (file, ours) = self._server, self._file
        limit = within.rows + 1
        # A range that ends where the server said has few more, and to count them is a tenth of its work.
        bounded = None if within.to and self._bounds else limit
        return partial(
            _alike,
            within,
            server.ask(theirs.packed(within, bounded, self._packed), binary=True),
            file.ask_for(ours.rows(within, limit), self._digested_here),
        )

    def _digested_here(self, batches: Iterator[Rows]) -> Rows:
        """As PostgreSQL answers. Made in SQLite's thread: with another one it would take turns."""
        digests = Digests(self._packings, self._marks)
        for rows in batches:
            digests.add(rows)
        return [digests.result()]


def _alike(within: Range, theirs: Future[Rows], ours: Future[Rows]) -> int | None:
    """The number of rows, if all are alike."""
    try:
        same = theirs.result() == ours.result()
    except CheckFailed:
        return None  # whatever is the matter shows when each side is read
    rows: int = ours.result()[0][0]
    # Where more came while they were read, there may be still more of them.
    return rows if same and rows <= within.rows else None


def across(pair: TablePair, rows: Stride, streamed: Streamed) -> Screened | None:
    """None where a column has no packing."""
    if pair.functions or pair.source.postgresql == pair.target.postgresql:
        return None
    packings = [
        packing(column, column.source if pair.source.postgresql else column.target)
        for column in pair.columns.columns
    ]
    found = [each for each in packings if each is not None]
    if len(found) < len(packings):
        return None
    return Screened(pair, rows, Across(pair, found).question, streamed)
