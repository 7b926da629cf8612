"""PostgreSQL and SQLite: the server digests its columns, and what SQLite delivers is digested here."""

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from dual_write.digest import Streamed, Stride
from dual_write.digest_packing import Marks, Packing, packing
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Range
from dual_write.digest_reader import Rows
from dual_write.digest_screen import Answer, Screened
from dual_write.errors import CheckFailed

ACROSS_ROWS = 5_000


class Across:
    """Of a range that is alike PostgreSQL sends a digest for each column, and no row."""

    def __init__(self, pair: TablePair, packings: Sequence[Packing]) -> None:
        self._pair = pair
        self._packings = packings
        self._marks = Marks.drawn()

    def question(self, within: Range) -> Answer:
        """Whether both sides have the same rows in it."""
        pair, limit = self._pair, within.rows + 1
        packed = [each.sql(f"c{at}", self._marks) for at, each in enumerate(self._packings)]
        digested, read = pair.source, pair.target
        queries = pair.source_query, pair.target_query
        if read.postgresql:
            digested, read, queries = read, digested, queries[::-1]
        digests = digested.ask(queries[0].packed(within, limit, packed), binary=True)
        return partial(self._alike, within, digests, read.ask(queries[1].rows(within, limit)))

    def _alike(self, within: Range, digests: Future[Rows], read: Future[Rows]) -> int | None:
        try:
            [(number, *columns)] = digests.result()
            rows = read.result()
        except CheckFailed:
            return None  # whatever is the matter shows when each side is read
        if number != len(rows) or number > within.rows:
            return None  # more came while they were read: there may be still more of them
        if not rows:
            return 0
        compared = zip(self._packings, columns, zip(*rows, strict=True), strict=True)
        return number if all(self._same(*each) for each in compared) else None

    def _same(self, packing: Packing, digest: bytes, values: Sequence[object]) -> bool:
        try:
            return packing.digest(values, self._marks) == digest
        except (TypeError, ValueError, OverflowError):
            return False


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
