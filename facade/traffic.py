"""How many requests each side has answered, since that was last told to the control plane."""

from collections.abc import Sequence
from dataclasses import dataclass

from facade.counters import Counters
from flags.side import Side


@dataclass(frozen=True, slots=True)
class TrafficCount:
    """Requests to one route that one side answered; ``phase`` is empty where no phase claims them."""

    phase: str
    route: str
    side: Side
    requests: int


class Traffic:
    """The requests of a worker that are still to be told. What could not be told is told with the next."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._told: dict[tuple[str, str, str], int] = {}

    def untold(self) -> Sequence[TrafficCount]:
        """What was answered since ``tell`` was last called, by phase, route and side."""
        return [
            TrafficCount(phase, route, Side(side), number - self._told.get((phase, route, side), 0))
            for (phase, route, side), number in self._totals().items()
            if number > self._told.get((phase, route, side), 0)
        ]

    def told(self, counts: Sequence[TrafficCount]) -> None:
        """These were taken."""
        for count in counts:
            key = (count.phase, count.route, count.side.value)
            self._told[key] = self._told.get(key, 0) + count.requests

    def _totals(self) -> dict[tuple[str, str, str], int]:
        totals: dict[tuple[str, str, str], int] = {}
        for (phase, route, side, _), latency in self._counters.requests.copy().items():
            key = (phase, route, str(side))
            totals[key] = totals.get(key, 0) + sum(latency.buckets)
        return totals
