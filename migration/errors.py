"""What can go wrong while a migration is driven; every message says what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migration.gates import GateVerdict


class MigrationError(Exception):
    """The root of this package's errors; its text can be shown to a user as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a plan: the line (from 1; None outside the file), the key, what and what to do."""

    line: int | None
    key: str
    message: str


class InitError(MigrationError):
    """A plan that cannot be started from what the monolith shows of itself."""


class PlanError(MigrationError):
    """A plan that cannot be used. ``problems`` holds everything found; the first also as attributes."""

    def __init__(self, file: Path | str, problems: Sequence[Problem]) -> None:
        self.file = str(file)
        self.problems = tuple(problems)
        self.line = problems[0].line
        self.key = problems[0].key
        self.message = problems[0].message
        super().__init__("\n".join(self._text(problem) for problem in problems))

    def _text(self, problem: Problem) -> str:
        place = self.file if problem.line is None else f"{self.file}:{problem.line}"
        return f"{place}: {problem.key}: {problem.message}" if problem.key else f"{place}: {problem.message}"


class ControlError(MigrationError):
    """A control database that is missing, unreachable, replaced or of another version."""


class EvidenceError(MigrationError):
    """What a shadow report was asked for cannot be had: a time, an earlier run, a recording of requests."""


class StageError(MigrationError):
    """A move that the phase's stage does not allow."""


class GateClosed(MigrationError):  # noqa: N818 - a state of the migration, named as people say it
    """Gates that are closed. ``verdicts`` holds them: each says why, and what would open it."""

    def __init__(self, phase: str, target: str, verdicts: Sequence["GateVerdict"]) -> None:
        self.phase = phase
        self.target = target
        self.verdicts = tuple(verdicts)
        lines = "".join(f"\n  {v.name}: {v.reason} {v.remedy}" for v in self.verdicts)
        super().__init__(f"phase {phase!r} cannot go to {target} yet:{lines}")


class LeaseHeld(MigrationError):  # noqa: N818 - as above
    """Another controller is at work on the phase; ``holder`` names it."""

    def __init__(self, name: str, holder: str, seconds: float) -> None:
        self.holder = holder
        super().__init__(
            f"phase {name!r} is being worked on by {holder}, whose lease runs another {seconds:.1f} s. "
            "Wait for it to end; a dead controller's work is taken over by itself within 5 s."
        )


class LeaseLost(MigrationError):  # noqa: N818 - as above
    """This controller's lease was taken over; it must not act any more."""


class WorkersLate(MigrationError):  # noqa: N818 - as above
    """Workers that did not report in time what was asked of them; ``workers`` names them."""

    def __init__(self, what: str, workers: Sequence[str]) -> None:
        self.workers = tuple(workers)
        super().__init__(
            f"{', '.join(workers)} did not {what} in time. "
            "`strangler status` shows what each worker serves; restart the one that is stuck."
        )


class RunCancelled(MigrationError):  # noqa: N818 - as above
    """A run that was taken back before its point of no return; everything is as it was before."""


class RunUnfinished(MigrationError):  # noqa: N818 - as above
    """A run that failed where it could not end by itself; the reconciler goes on with it."""


class HoldExpired(MigrationError):  # noqa: N818 - as above
    """A switch that could not be made in the time for which clients' writes may be held."""


class WalkStopped(MigrationError):  # noqa: N818 - as above
    """A walk through a runbook that cannot go on by itself; it goes on from there when it is run again."""
