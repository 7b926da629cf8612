"""What a worker counts on its hot path: plain numbers, turned into metrics elsewhere."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency histogram, seconds; one more bucket takes the rest."""


@dataclass(slots=True)
class Latency:
    """A histogram: how many requests in each bucket (not cumulative), and the sum of their seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


@dataclass(slots=True)
class Counters:
    """Totals since the worker started.

    ``requests`` is by (phase, route, side, status class), ``events`` by (what happened, phase): ``fallback``,
    ``ejected``, ``held``, ``hold_expired``, ``retry``, ``refused``, ``aborted`` ....
    """

    requests: dict[tuple[str, str, str, int], Latency] = field(default_factory=dict)
    events: Counter[tuple[str, str]] = field(default_factory=Counter)

    def observe(self, phase: str, route: str, side: str, status: int, seconds: float) -> None:
        """Count one finished request."""
        key = (phase, route, side, status // 100)
        latency = self.requests.get(key)
        if latency is None:
            latency = self.requests[key] = Latency()
        latency.buckets[bisect_left(BUCKETS, seconds)] += 1
        latency.seconds += seconds

    def count(self, event: str, phase: str = "") -> None:
        self.events[event, phase] += 1
