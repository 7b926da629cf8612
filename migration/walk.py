"""``strangler runbook --run``: takes a phase from where it stands up to live, one step after the other.

The stage in the control database is the place to resume at, so a walk that died is simply started again.
"""

import time
from collections.abc import Callable
from typing import Any

from migration.checking import check_phase
from migration.errors import GateClosed, MigrationError
from migration.stages import Stage
from migration.wiring import Wiring

RAMP_PERCENT = (10, 50, 100)
_LOOK_AGAIN_SECONDS = 1.0

Tell = Callable[[str], Any]


class WalkStopped(MigrationError):  # noqa: N818 - a state of the walk, named as people say it
    """The walk cannot go on by itself; the phase stays where it is."""


def walk(wiring: Wiring, phase: str, *, tell: Tell, wait_seconds: float) -> None:
    """Walk the phase up to live. ``tell`` takes a line of text for each step.

    A closed gate is waited for, ``wait_seconds`` at most; then GateClosed is raised. Raises WalkStopped
    when the check finds differences, and StageError when the phase is complete.
    """
    while (stage := wiring.control.phase(phase).stage) not in {Stage.LIVE, Stage.COMPLETE}:
        tell(f"{phase}: {stage}")
        _STEPS[stage](wiring, phase, tell, wait_seconds)
    tell(f"{phase}: {wiring.control.phase(phase).stage}")


def _copy(wiring: Wiring, phase: str, tell: Tell, _: float) -> None:
    tell("installing capture and copying the rows that are there")
    wiring.controller.sync(phase, lambda _: None, lambda: False)


def _prove(wiring: Wiring, phase: str, tell: Tell, wait_seconds: float) -> None:
    _copy(wiring, phase, tell, wait_seconds)
    tell("comparing both sides")
    _require_clean(wiring, phase)
    _advance(wiring, phase, tell, wait_seconds)


def _compare(wiring: Wiring, phase: str, tell: Tell, wait_seconds: float) -> None:
    _require_clean(wiring, phase)
    _advance(wiring, phase, tell, wait_seconds)


def _raise_reads(wiring: Wiring, phase: str, tell: Tell, wait_seconds: float) -> None:
    for percent in RAMP_PERCENT:
        wiring.controller.ramp(phase, percent)
        tell(f"{percent} % of the reads go to the service")
    _require_clean(wiring, phase)
    _advance(wiring, phase, tell, wait_seconds)


def _require_clean(wiring: Wiring, phase: str) -> None:
    report = check_phase(wiring, phase)
    if not report.clean:
        raise WalkStopped(
            f"the check of {phase!r} found {len(report.findings)} differences. "
            f"Look at `strangler check {phase}`, mend them, and run this again: it resumes here."
        )


def _advance(wiring: Wiring, phase: str, tell: Tell, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    told = ""
    while True:
        try:
            moved = wiring.controller.advance(phase)
        except GateClosed as closed:
            if time.monotonic() >= deadline:
                raise
            if str(closed) != told:
                told = str(closed)
                tell(told)
            time.sleep(_LOOK_AGAIN_SECONDS)
        else:
            pause = (
                "" if moved.held_seconds is None else f", writes waited {moved.held_seconds * 1000:.0f} ms"
            )
            tell(f"{moved.source} → {moved.target}{pause}")
            return


_STEPS: dict[Stage, Callable[[Wiring, str, Tell, float], None]] = {
    Stage.OFF: _copy,
    Stage.DUAL_WRITE: _prove,
    Stage.SHADOW: _compare,
    Stage.RAMP: _raise_reads,
}
