"""What the acts of one run work with, and what every act has."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flags.percent import FULL
from flags.side import Side
from migration.errors import GateClosed, LeaseHeld, MigrationError
from migration.gate_facts import Step as GatedStep
from migration.journal import Journal
from migration.reconcile import Reconciler
from migration.runbook_words import Fill
from migration.stages import PhaseRecord
from migration.walk_journal import WalkJournal
from migration.walk_states import Event
from migration.wiring import Wiring

LOOK_AGAIN_SECONDS = 1.0
_SETTLE_SECONDS = 6.0
"""For a move whose controller has died: its lease runs out within 3 s."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an act says: the event, why in words, what is to be remembered, and the error if there is one."""

    event: Event
    text: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: MigrationError | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """What the acts of one run work with. ``journal`` is None where nothing is to be done.

    A closed gate is waited for, ``patience`` seconds at most.
    """

    wiring: Wiring
    phase: str
    fill: Fill
    tell: Callable[[str], Any]
    patience: float
    journal: WalkJournal | None = None

    @property
    def record(self) -> PhaseRecord:
        return self.wiring.control.phase(self.phase)

    def shares(self) -> dict[str, int]:
        """The service's share of reads and writes, in ‱."""
        record, flags = self.record, self.wiring.flags.snapshot()
        whole = FULL if record.writer is Side.SERVICE else 0
        return {
            "reads": flags.share(f"{self.phase}.reads"),
            "writes": flags.share(f"{self.phase}.writes") if record.split else whole,
        }

    def settled(self) -> bool:
        """Whether no move of the phase is unfinished; one that a dead controller left is ended first."""
        reconciler = Reconciler(self.wiring.control, self.wiring.controller.resume)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while any(run.phase == self.phase for run in Journal(self.wiring.control).unfinished()):
            try:
                reconciler.mend(self.phase)
            except LeaseHeld:
                if time.monotonic() > deadline:
                    return False
                time.sleep(LOOK_AGAIN_SECONDS / 10)
        return True

    def await_gates(self, to: GatedStep) -> Answer:
        """READY once the gates before a step are open, REFUSED when they stay closed."""
        deadline, told = time.monotonic() + self.patience, ""
        while True:
            verdicts = self.wiring.controller.verdicts(self.phase, to)
            closed = [verdict for verdict in verdicts if not verdict.open]
            if not closed:
                return Answer(Event.READY)
            error = GateClosed(self.phase, str(to), closed)
            if time.monotonic() >= deadline:
                return Answer(Event.REFUSED, "gates are closed", error=error)
            if str(error) != told:
                told = str(error)
                self.tell(told)
            time.sleep(LOOK_AGAIN_SECONDS)


class Act(ABC):
    """One step at work. ``verify`` answers HOLDS, ABSENT or UNCLEAR; ``undo`` may be called twice."""

    def __init__(self, desk: Desk, step: Any) -> None:
        self.desk = desk
        self.step = step

    @property
    def phase(self) -> str:
        return self.desk.phase

    @property
    def fill(self) -> Fill:
        return self.desk.fill

    def precheck(self) -> Answer:
        """READY, HOLDS when there is nothing to do, ASKS for a person, or REFUSED."""
        return Answer(Event.READY)

    @abstractmethod
    def do(self) -> None: ...

    @abstractmethod
    def verify(self) -> Answer: ...

    def undo(self) -> None:  # noqa: B027 - most steps change nothing, or cancel themselves
        """Take back what ``do`` did."""

    def stands(self) -> Answer:
        """Whether what was done in an earlier run is still as it was left."""
        return self.verify()

    def began(self) -> tuple[float, Mapping[str, Any]]:
        """When the step was first about to be done, and what was remembered then."""
        entry = None if self.desk.journal is None else self.desk.journal.began(self.step.name)
        return (0.0, {}) if entry is None else (entry.at, entry.detail)
