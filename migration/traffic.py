"""Who answers: requests counted by side and time, in the control database."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from facade.traffic import TrafficCount
from flags.side import Side
from migration.control import Control, add
from migration.schema.observed import monolith_hits, traffic

MINUTE, HOUR = 60, 3600
KEPT_SECONDS = {MINUTE: 86_400, HOUR: 90 * 86_400}
"""Slots by their width, and how long they are kept."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A phase's route that the monolith answered: how often in all, and how many seconds ago last."""

    route: str
    requests: int
    ago: float


@dataclass(frozen=True, slots=True)
class Slot:
    """The requests of a time that began ``at`` (seconds since 1970), and those that a service answered."""

    at: int
    requests: int
    service: int

    @property
    def share(self) -> float | None:
        """Of the services, from 0 to 1; None without requests."""
        return self.service / self.requests if self.requests else None


class ControlTraffic:
    """The facade's TrafficSink on the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def count(self, counts: Sequence[TrafficCount]) -> None:
        """Add to the slots of now, and forget those that are too old."""
        answered: dict[tuple[str, Side], int] = {}
        for each in counts:
            answered[each.phase, each.side] = answered.get((each.phase, each.side), 0) + each.requests
        hits = [each for each in counts if each.phase and each.side is Side.MONOLITH]
        with self._control.write() as connection:
            now = self._control.now(connection)
            for (phase, side), requests in sorted(answered.items()):
                for width in KEPT_SECONDS:
                    key = {"phase": phase, "side": side.value, "width": width, "slot": _slot(now, width)}
                    add(connection, traffic, key, {"requests": requests})
            for hit in sorted(hits, key=lambda each: (each.phase, each.route)):
                key = {"phase": hit.phase, "route": hit.route}
                add(connection, monolith_hits, key, {"requests": hit.requests}, {"last_at": now})
            for width, kept in KEPT_SECONDS.items():
                old = (traffic.c.width == width) & (traffic.c.slot < now - kept)
                connection.execute(delete(traffic).where(old))


def last_hits(control: Control, phase: str) -> list[Hit]:
    """The routes of a phase that the monolith has answered, the latest first."""
    query = select(monolith_hits).where(monolith_hits.c.phase == phase)
    with control.read() as connection:
        now = control.now(connection)
        rows = connection.execute(query.order_by(monolith_hits.c.last_at.desc())).all()
    return [Hit(row.route, row.requests, max(0.0, now - row.last_at)) for row in rows]


def series(control: Control, width: int, number: int) -> list[Slot]:
    """The last ``number`` slots of a width, the oldest first; those without requests as well."""
    with control.read() as connection:
        last = _slot(control.now(connection), width)
        found = _summed(connection, width, last - (number - 1) * width)
    return [Slot(at, *found.get(at, (0, 0))) for at in range(last - (number - 1) * width, last + 1, width)]


def _summed(connection: Connection, width: int, since: int) -> dict[int, tuple[int, int]]:
    """Requests, and those of services, by slot."""
    table = traffic.c
    query = (
        select(table.slot, table.side, func.sum(table.requests))
        .where(table.width == width, table.slot >= since)
        .group_by(table.slot, table.side)
    )
    summed: dict[int, tuple[int, int]] = {}
    for slot, side, requests in connection.execute(query):
        all_, service = summed.get(slot, (0, 0))
        number = int(requests)
        summed[slot] = (all_ + number, service + (number if side == Side.SERVICE else 0))
    return summed


def _slot(now: float, width: int) -> int:
    return int(now) // width * width
