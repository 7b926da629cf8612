"""A check's pace: databases that serve customers have their time first."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

_T = TypeVar("_T")

STATEMENT_SECONDS = 60

# Below full speed statements are kept about this short: who waits for the core that one has, waits for this.
_SHORT_SECONDS = 0.001
# With fewer a statement's own cost is more than that of its rows.
_FEWEST_ROWS = 200
# However slow the database is, a check that never ended would not help it.
_LONGEST_REST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Manners:
    """How much a check may ask of the databases.

    It reads for this ``share`` of the time, in short statements, one at a time on whichever side. With 1 it
    takes all that both servers give. ``statement_seconds`` is how long PostgreSQL may take for one statement.
    """

    share: float = 0.15
    statement_seconds: int = STATEMENT_SECONDS

    @property
    def full_speed(self) -> bool:
        return self.share >= 1


POLITE = Manners()
FULL_SPEED = Manners(share=1.0)


class Pace:
    """What keeps the statements of both sides to a share of the time; threads may share it.

    The rest after a statement grows with what it took: a server that has more to do is asked for less.
    """

    def __init__(self, share: float = 1.0) -> None:
        self._share = share
        self._turn = Lock()
        self._rested = 0.0
        self._longest = 0.0
        self._rows = _FEWEST_ROWS

    @property
    def full(self) -> bool:
        return self._share >= 1

    def run(self, statement: Callable[[], _T], way: Callable[[], float] = lambda: 0.0) -> _T:
        """Wait for the turn, and run it. ``way``: the seconds of it that are not the server's."""
        if self.full:
            return statement()
        with self._turn:
            time.sleep(max(0.0, self._rested - time.monotonic()))
            began = time.monotonic()
            try:
                return statement()
            finally:
                ended = time.monotonic()
                took = max(0.0, ended - began - way())
                self._longest = max(self._longest, took)
                self._rested = ended + min(took / self._share - took, _LONGEST_REST_SECONDS)

    def rows(self, most: int) -> int:
        """How many rows the next statement should read: fewer when one has taken long since the last call."""
        if self.full:
            return most
        longest, self._longest = self._longest, 0.0
        if longest > _SHORT_SECONDS:
            self._rows = max(_FEWEST_ROWS, self._rows // 2)
        elif longest < _SHORT_SECONDS / 2:
            self._rows = max(self._rows, min(most, self._rows * 2))
        return min(most, self._rows)
