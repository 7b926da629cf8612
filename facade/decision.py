"""What can be decided for a request. Most decisions are made with the snapshot, and taken again and again."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from flags.rule import OFF, ON, Rule
from flags.side import MONOLITH, SERVICE, Side
from flags.snapshot import FlagSnapshot

if TYPE_CHECKING:
    from facade.snapshot import PhaseTraffic


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request goes, and why.

    ``phase`` is None when no phase claims the request. ``hold``: it is a write of a phase whose fence is
    up, and waits. ``gone``: its route was retired and the phase is complete (410). ``fallback``: the
    monolith may answer it when the service fails. ``split``: a flag chose, so the choice must be sticky.
    """

    side: Side
    reason: str
    phase: "PhaseTraffic | None" = None
    write: bool = False
    shadow: bool = False
    fallback: bool = False
    hold: bool = False
    gone: bool = False
    split: bool = False


UNMATCHED = Decision(MONOLITH, "unmatched")
UNCLAIMED = Decision(MONOLITH, "unclaimed")
AGGREGATED = Decision(MONOLITH, "aggregated")
"""The answer is made of parts, and each part is decided for itself."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a phase's requests come to while it stands as it does.

    ``reads`` are the keys whose reads the service answers, ``shadow`` the ids of those of the others that it
    is asked for too, ``writes`` the keys whose writes it accepts. ``write`` is the decision for a write that
    is not split.
    """

    traffic: "PhaseTraffic"
    reads: Rule
    shadow: Rule
    writes: Rule
    service: Decision
    shadowed: Decision
    monolith: Decision
    write: Decision

    @classmethod
    def of(cls, traffic: "PhaseTraffic", flags: FlagSnapshot) -> Self:
        split = traffic.reads is None
        read = Decision(MONOLITH, "split reads" if split else "stage", traffic, split=split)
        return cls(
            traffic,
            flags.rule(f"{traffic.name}.reads") if traffic.reads is None else _always(traffic.reads),
            flags.rule(f"{traffic.name}.shadow") if traffic.shadow else OFF,
            flags.rule(f"{traffic.name}.writes") if traffic.split_writes else _always(traffic.writer),
            service=replace(read, side=SERVICE, fallback=traffic.fallback),
            shadowed=replace(read, shadow=True),
            monolith=read,
            write=Decision(traffic.writer, "writer", traffic, write=True),
        )


def _always(side: Side) -> Rule:
    return ON if side is SERVICE else OFF
