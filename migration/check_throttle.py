"""A check makes way: it pauses while replication lags behind, or while the databases answer late."""

import time
from collections.abc import Callable
from math import inf

from dual_write.check import Progress
from dual_write.replication import Lag

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A look at the change log that takes so many times as long as the quickest one, and longer than this.
_SLOWER = 5.0
_SLOW_SECONDS = 0.05


class Load:
    """Whether the databases have other things to do: the lag is over its limit, or statements got slow."""

    def __init__(self, max_lag_seconds: float) -> None:
        self._limit = max_lag_seconds
        self._quickest = inf

    def busy(self, lag_seconds: float, took_seconds: float) -> bool:
        """``took_seconds``: how long the database took to say what the lag is."""
        self._quickest = min(self._quickest, took_seconds)
        slow = took_seconds > max(_SLOW_SECONDS, _SLOWER * self._quickest)
        return slow or lag_seconds > self._limit


class Throttle:
    """A check's progress: it goes on at once, or after a pause while the databases are busy.

    ``told`` is called all the same, also while it pauses, and may end the check by raising. A pause ends
    after a minute: a check that never ended would say nothing either.
    """

    def __init__(self, lag: Callable[[], Lag], load: Load, told: Progress | None) -> None:
        self._lag = lag
        self._load = load
        self._told = told or (lambda _table, _rows, _about: None)
        self._looked = -inf

    def __call__(self, table: str, rows: int, about: int) -> None:
        """Raises whatever ``told`` does."""
        self._told(table, rows, about)
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        until = time.monotonic() + _LONGEST_PAUSE_SECONDS
        while self._busy() and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            self._told(table, rows, about)
        self._looked = time.monotonic()

    def _busy(self) -> bool:
        began = time.monotonic()
        lag = self._lag()
        return self._load.busy(lag.seconds if lag.changes else 0.0, time.monotonic() - began)
