"""Checks again and again, beside the customers' load: what the relay does by the plan, and ``--watch``."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf

from sqlalchemy.exc import SQLAlchemyError

from dual_write.check import Manners
from dual_write.errors import DataError
from dual_write.replication import Replication
from flags.side import Side
from migration.check_history import Scope, last_check
from migration.checking import CheckReport, check_phase, planned_manners
from migration.errors import MigrationError
from migration.stages import Stage
from migration.wiring import Wiring

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
# A look at the change log that takes so many times as long as the quickest one, and longer than this.
_SLOWER = 5.0
_SLOW_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Habit:
    """A check ``every`` so many seconds, of every row when the last such one is ``whole_every`` old."""

    every: float
    whole_every: float
    manners: Manners = field(default_factory=Manners)


class _Ended(Exception):  # noqa: N818 - nothing is wrong
    pass


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

    A pause ends after a minute: a check that never ended would say nothing either.
    """

    def __init__(self, replication: Replication, to: Side, load: Load, ending: threading.Event) -> None:
        self._replication = replication
        self._to = to
        self._load = load
        self._ending = ending
        self._looked = -inf
        self.pauses = 0

    def __call__(self, _table: str, _rows: int, _about: int) -> None:
        """Raises _Ended once the event is set."""
        if self._ending.is_set():
            raise _Ended
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        until = time.monotonic() + _LONGEST_PAUSE_SECONDS
        while self._busy() and time.monotonic() < until:
            self.pauses += 1
            if self._ending.wait(_PAUSE_SECONDS):
                raise _Ended
        self._looked = time.monotonic()

    def _busy(self) -> bool:
        began = time.monotonic()
        lag = self._replication.lag(self._to)
        return self._load.busy(lag.seconds if lag.changes else 0.0, time.monotonic() - began)


def watch(
    wiring: Wiring,
    phase: str,
    habit: Habit,
    ending: threading.Event,
    told: Callable[[CheckReport | Exception], None],
) -> None:
    """Check whenever the last check is old enough, whoever made it, until ``ending`` is set.

    ``told`` gets each report, or the error for which there is none.
    """
    while not ending.is_set():
        wait = min(habit.every, _LONGEST_PAUSE_SECONDS)
        try:
            if (left := _left(wiring, phase, habit)) <= 0:
                told(_check(wiring, phase, habit, ending))
            else:
                wait = left
        except _Ended:
            return
        except (DataError, MigrationError, SQLAlchemyError) as error:
            told(error)
        ending.wait(wait)


def scheduled(wiring: Wiring, phase: str, ending: threading.Event) -> threading.Thread | None:
    """The thread, not yet started, that checks the phase as its plan says; None when it says nothing."""
    section = wiring.plan.phase(phase).check
    if section.every is None:
        return None
    habit = Habit(section.every, section.whole_every, planned_manners(wiring, phase))
    return threading.Thread(
        target=watch, args=(wiring, phase, habit, ending, partial(_logged, phase)), name=f"check {phase}"
    )


def _left(wiring: Wiring, phase: str, habit: Habit) -> float:
    """The seconds until the next check is due."""
    if wiring.control.phase(phase).stage is Stage.OFF:
        return habit.every
    last = last_check(wiring.control, phase)
    return 0.0 if last is None else habit.every - last[1]


def _check(wiring: Wiring, phase: str, habit: Habit, ending: threading.Event) -> CheckReport:
    whole = last_check(wiring.control, phase, Scope.WHOLE)
    since = whole is not None and whole[1] < habit.whole_every
    to = wiring.control.phase(phase).writer.other
    load = Load(wiring.plan.phase(phase).gates.max_lag_seconds)
    with wiring.replicating(phase) as replication:
        throttle = Throttle(replication, to, load, ending)
        return check_phase(wiring, phase, progress=throttle, manners=habit.manners, since=since)


def _logged(phase: str, said: CheckReport | Exception) -> None:
    if isinstance(said, Exception):
        _log.warning("phase %s: the check was not carried through: %s", phase, said)
    elif said.clean:
        _log.info("phase %s: the check of %d rows is clean", phase, said.rows)
    else:
        _log.error(
            "phase %s: the check left %d findings; `strangler check %s --export FILE` lists them",
            phase,
            len(said.findings),
            phase,
        )
