"""Ranges that a quick question finds alike, so that only the others are read."""

from collections.abc import Callable, Iterator

from dual_write.digest import Chunk, Streamed, Stride, ahead, ranges
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Range

Answer = Callable[[], int | None]
"""The range's rows if all are alike; None says nothing yet."""

_LONGEST_BLIND = 64
_ASKED_AHEAD = 2
"""Ranges whose answers are on their way, beside that of the one that is waited for."""


class Screened:
    """``question`` is asked of each range; one that it does not find alike is read.

    After each that was read the question is left out, for twice as many ranges every time: it is not worth
    asking where differences are everywhere, or where the sides store their values in different forms.
    """

    def __init__(
        self, pair: TablePair, rows: Stride, question: Callable[[Range], Answer], streamed: Streamed
    ) -> None:
        self._pair = pair
        self._rows = rows
        self._question = question
        self._streamed = streamed
        self._blind = 1
        self._left = 0

    def chunks(self, after: Key | None = None) -> Iterator[Chunk]:
        """Everything after a key."""
        all_of = ranges(self._pair, self._pair.source_query, Range(after), self._rows)
        asked = ((within, self._asked(within)) for within in all_of)
        for within, answer in ahead(asked, _ASKED_AHEAD):
            rows = answer() if answer else None
            if rows is not None:
                self._blind = 1
                yield Chunk(rows, (), within.to)
                continue
            if answer:
                self._left, self._blind = self._blind - 1, min(2 * self._blind, _LONGEST_BLIND)
            yield from self._streamed.within(within)

    def _asked(self, within: Range) -> Answer | None:
        if self._left > 0:
            self._left -= 1
            return None
        return self._question(within)
