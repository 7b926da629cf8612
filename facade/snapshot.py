"""What a worker serves by: one immutable picture of routes, phases and flags, swapped whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from facade.decision import Choices
from facade.routes import RouteTable
from flags.side import Side
from flags.snapshot import FlagSnapshot


@dataclass(frozen=True, slots=True)
class PhaseTraffic:
    """What the facade must know about one phase; the control plane derives it from the phase's stage.

    ``reads`` is the side that answers reads, or None when the flag ``<phase>.reads`` splits them.
    ``split_writes`` lets the flag ``<phase>.writes`` choose the writer by routing key; otherwise
    ``writer`` accepts every write. ``shadow`` mirrors reads answered by the monolith, in the share that
    the flag ``<phase>.shadow`` says. ``fallback`` lets the monolith answer a read that the service failed.
    ``hold`` is the id of the switch whose fence is up, if any. ``retired`` makes the phase's retired
    routes answer 410. ``stage`` is a label for logs and metrics only.
    """

    name: str
    stage: str
    epoch: int
    writer: Side
    reads: Side | None
    split_writes: bool = False
    shadow: bool = False
    fallback: bool = False
    hold: str | None = None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent state of the control plane. ``degraded`` says why it may be old (invariant I6).
    ``choices`` are made of it, by phase."""

    revision: int
    routes: RouteTable
    phases: Mapping[str, PhaseTraffic]
    flags: FlagSnapshot
    degraded: str | None = None
    choices: Mapping[str | None, Choices] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        choices = {name: Choices.of(traffic, self.flags) for name, traffic in self.phases.items()}
        object.__setattr__(self, "choices", choices)
