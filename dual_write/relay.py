"""The relay: carries one phase's changes for as long as it runs.

Two relays for one phase do no harm: each batch is read before the target's inbox is locked, and the one that
comes second finds the position moved and drops its batch. So none needs to be told apart, and one that dies
is replaced by the other at once.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from dual_write.errors import DataError, FencedError
from dual_write.replication import Replication
from flags.side import Side

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.03
_PURGED = 2000
_PURGE_SECONDS, _LONGEST_PURGE_SECONDS = 1.0, 10.0
_PURGE_SHARE = 10
"""Changes wait while the log is purged, and a purge's own transaction holds back the log's reading: it takes
few entries at a time, and a tenth of the time at most."""
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0


class Relay:
    """Steps in the directions that ``directions`` names at each turn; it has to answer without failing.

    ``trouble`` is the last error while the relay waits for a database to come back, None when all is well;
    ``batches`` and ``failures`` count.
    """

    def __init__(
        self,
        replication: Replication,
        directions: Callable[[], Sequence[Side]],
        step: Callable[[Side], int] | None = None,
    ) -> None:
        """``step`` carries one batch by another transport, with the results of ``Replication.step``."""
        self._replication = replication
        self._step = step or replication.step
        self._directions = directions
        self._pause = _FIRST_PAUSE_SECONDS
        self._purge_at = time.monotonic() + _PURGE_SECONDS
        self._turned = time.monotonic()
        self.trouble: DataError | None = None
        self.batches = 0
        self.failures = 0

    @property
    def silent_seconds(self) -> float:
        """Since a turn last came to its end, and so both databases answered."""
        return time.monotonic() - self._turned

    def run(self, stop: threading.Event) -> None:
        """Return soon after ``stop`` is set; between two batches, never within one."""
        while not stop.is_set():
            try:
                passed = self.turn()
            except DataError as error:
                self._failed(error)
                stop.wait(self._pause)
                self._pause = min(_LONGEST_PAUSE_SECONDS, self._pause * 2)
                continue
            self._recovered()
            if not passed:
                stop.wait(_IDLE_SECONDS)

    def turn(self) -> int:
        """One batch in each direction; the entries passed. Raises DataError."""
        passed = 0
        for to in self._directions():
            try:
                stepped = self._step(to)
            except FencedError:
                continue  # closed meanwhile: the next turn asks again which way to go
            passed += stepped
            self.batches += stepped > 0
        if time.monotonic() > self._purge_at:
            self._purge()
        return passed

    def _purge(self) -> None:
        began = time.monotonic()
        more = self._replication.purge(_PURGED) >= _PURGED
        took = time.monotonic() - began
        pause = max(0.0 if more else _PURGE_SECONDS, took * _PURGE_SHARE)
        self._purge_at = time.monotonic() + min(pause, _LONGEST_PURGE_SECONDS)

    def _failed(self, error: DataError) -> None:
        if self.trouble is None or str(error) != str(self.trouble):
            _log.warning("phase %s: %s", self._replication.phase, error)
        self.trouble = error
        self.failures += 1

    def _recovered(self) -> None:
        if self.trouble is not None:
            _log.warning("phase %s: changes flow again", self._replication.phase)
        self.trouble = None
        self._turned = time.monotonic()
        self._pause = _FIRST_PAUSE_SECONDS
