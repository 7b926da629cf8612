"""Where a phase may stand, where it may go from there, and what that means for its traffic. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from facade.snapshot import PhaseTraffic
from flags.side import Side


class Stage(StrEnum):
    """A stage of a phase, in the order in which it is passed."""

    OFF = "off"
    DUAL_WRITE = "dual_write"
    SHADOW = "shadow"
    RAMP = "ramp"
    LIVE = "live"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Transition:
    """One legal move. ``writer`` is the side that accepts writes once it is made."""

    source: Stage
    target: Stage
    writer: Side

    @property
    def backward(self) -> bool:
        return ORDER.index(self.target) < ORDER.index(self.source)


ORDER = tuple(Stage)

TRANSITIONS = (
    Transition(Stage.OFF, Stage.DUAL_WRITE, Side.MONOLITH),
    Transition(Stage.DUAL_WRITE, Stage.SHADOW, Side.MONOLITH),
    Transition(Stage.SHADOW, Stage.RAMP, Side.MONOLITH),
    Transition(Stage.RAMP, Stage.LIVE, Side.SERVICE),
    Transition(Stage.LIVE, Stage.COMPLETE, Side.SERVICE),
    Transition(Stage.DUAL_WRITE, Stage.OFF, Side.MONOLITH),
    Transition(Stage.SHADOW, Stage.DUAL_WRITE, Side.MONOLITH),
    Transition(Stage.RAMP, Stage.SHADOW, Side.MONOLITH),
    Transition(Stage.LIVE, Stage.SHADOW, Side.MONOLITH),
)


def forward(stage: Stage) -> Transition | None:
    """The move that advances from ``stage``, or None at the end."""
    return next((t for t in TRANSITIONS if t.source is stage and not t.backward), None)


def backward(stage: Stage) -> Transition | None:
    """The move that rolls back from ``stage``, or None where there is no way back."""
    return next((t for t in TRANSITIONS if t.source is stage and t.backward), None)


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """What the control database says of a phase.

    ``writer`` accepts client writes; while they are ``split``, it accepts those without a routing key, and
    the flag ``<phase>.writes`` says which side accepts the others. ``hold`` is the run whose fence is up.
    ``stage_since`` and ``evidence_since`` are seconds since 1970; shadow traffic before the latter says
    nothing about what runs now.
    """

    name: str
    stage: Stage = Stage.OFF
    writer: Side = Side.MONOLITH
    epoch: int = 1
    hold: str | None = None
    stage_since: float = 0.0
    evidence_since: float = 0.0
    split: bool = False

    @property
    def writers(self) -> tuple[Side, ...]:
        """The sides whose databases take client writes."""
        return tuple(Side) if self.split else (self.writer,)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How reads travel in a stage; ``side`` None leaves it to the flag ``<phase>.reads``."""

    side: Side | None
    shadow: bool = False
    fallback: bool = False


_READING = {
    Stage.OFF: _Reading(Side.MONOLITH),
    Stage.DUAL_WRITE: _Reading(Side.MONOLITH),
    Stage.SHADOW: _Reading(Side.MONOLITH, shadow=True),
    Stage.RAMP: _Reading(None, shadow=True, fallback=True),
    # Still by the flag, which stands at 100 %: so one write of the flag alone takes reads back (I8).
    Stage.LIVE: _Reading(None, fallback=True),
    Stage.COMPLETE: _Reading(Side.SERVICE),
}


def traffic(record: PhaseRecord) -> PhaseTraffic:
    """What the facade does with the phase's requests."""
    reading = _READING[record.stage]
    return PhaseTraffic(
        name=record.name,
        stage=record.stage,
        epoch=record.epoch,
        writer=record.writer,
        split_writes=record.split,
        reads=reading.side,
        shadow=reading.shadow,
        fallback=reading.fallback,
        hold=record.hold,
        retired=record.stage is Stage.COMPLETE,
    )
