"""How far the monolith is strangled: the share of requests that services answer, and the phases complete."""

from collections.abc import Sequence
from dataclasses import dataclass

from migration.control import Control
from migration.plan import Plan
from migration.stages import Stage
from migration.traffic import HOUR, MINUTE, Slot, series

MINUTES, HOURS = 60, 7 * 24
"""How far back the series go: an hour by the minute, a week by the hour."""
_NOW_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Completed:
    """A phase that is complete, and since when (seconds since 1970)."""

    phase: str
    at: float


@dataclass(frozen=True, slots=True)
class Strangled:
    """``share`` of the requests of the last five minutes that services answered, from 0 to 1; None without
    requests. ``phases`` is how many the plan has."""

    share: float | None
    requests: int
    phases: int
    completed: Sequence[Completed]
    minutes: Sequence[Slot]
    hours: Sequence[Slot]


def read_strangled(plan: Plan, control: Control) -> Strangled:
    """As it stands now."""
    records = control.phases()
    minutes = series(control, MINUTE, MINUTES)
    recent = minutes[-_NOW_MINUTES:]
    requests = sum(slot.requests for slot in recent)
    return Strangled(
        share=sum(slot.service for slot in recent) / requests if requests else None,
        requests=requests,
        phases=len(plan.phases),
        completed=[
            Completed(name, records[name].stage_since)
            for name in (phase.name for phase in plan.phases)
            if name in records and records[name].stage is Stage.COMPLETE
        ],
        minutes=minutes,
        hours=series(control, HOUR, HOURS),
    )


_BARS = "▁▂▃▄▅▆▇█"


def sparkline(slots: Sequence[Slot]) -> str:
    """One character for each slot, by its share from 0 to 1; a blank where nothing was asked. Pure."""
    top = len(_BARS) - 1
    shares = (slot.share for slot in slots)
    return "".join(" " if share is None else _BARS[round(share * top)] for share in shares)
