"""Checks again and again, beside the customers' load: what the relay does by the plan, and ``--watch``."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from dual_write.check import Manners
from dual_write.errors import DataError
from migration.check_history import Scope, last_check
from migration.checking import CheckReport, check_phase, planned_manners
from migration.errors import MigrationError
from migration.stages import Stage
from migration.wiring import Wiring

_log = logging.getLogger(__name__)

_LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Habit:
    """A check ``every`` so many seconds, of every row when the last such one is ``whole_every`` old."""

    every: float
    whole_every: float
    manners: Manners = field(default_factory=Manners)


class _Ended(Exception):  # noqa: N818 - nothing is wrong
    pass


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
        wait = min(habit.every, _LONGEST_WAIT_SECONDS)
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

    def told(_table: str, _rows: int, _about: int) -> None:
        if ending.is_set():
            raise _Ended

    return check_phase(wiring, phase, progress=told, manners=habit.manners, since=since)


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
