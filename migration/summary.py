"""What shadow traffic has shown of a phase: match rates with their uncertainty, fields, latencies. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import TypeVar

from facade.evidence import Comparison, ShadowCounts

_K = TypeVar("_K")

_Z95 = 1.959964


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval (Wilson) of a rate seen as ``hits`` of ``total``; the whole of 0..1 without any."""
    if total == 0:
        return 0.0, 1.0
    rate = hits / total
    z2 = _Z95 * _Z95
    centre = (rate + z2 / (2 * total)) / (1 + z2 / total)
    margin = _Z95 / (1 + z2 / total) * sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return max(0.0, min(rate, centre - margin)), min(1.0, max(rate, centre + margin))


def matching_needed(hits: int, total: int, limit: float) -> int | None:
    """How many more, all of them hits, lift the lower bound of ``wilson`` to ``limit``; None when too many.

    The bound grows with each hit, so the number is found by halving.
    """
    low, high = 0, 1_000_000
    if wilson(hits + high, total + high)[0] < limit:
        return None
    while low < high:
        middle = (low + high) // 2
        if wilson(hits + middle, total + middle)[0] >= limit:
            high = middle
        else:
            low = middle + 1
    return low


def percentile(buckets: Mapping[float, int], share: float) -> float | None:
    """The upper bound of the bucket in which the given share (0..1) is reached; None of nothing."""
    total = sum(buckets.values())
    seen = 0
    for bound in sorted(buckets):
        seen += buckets[bound]
        if total and seen >= share * total:
            return bound
    return None


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, read from buckets 12 % apart; None where nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, buckets: Mapping[float, int]) -> "Latency":
        return cls(
            sum(buckets.values()),
            percentile(buckets, 0.50),
            percentile(buckets, 0.95),
            percentile(buckets, 0.99),
        )


@dataclass(frozen=True, slots=True)
class FieldSummary:
    """How often the answers differed at one place in one way."""

    path: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class RouteSummary:
    """One route. ``eligible = matched + mismatched + stale + sum(drops)`` (invariant I10)."""

    route: str
    eligible: int
    matched: int
    mismatched: int
    stale: int
    drops: Mapping[str, int]
    fields: tuple[FieldSummary, ...]
    rules: Mapping[str, int]
    primary: Latency
    shadow: Latency

    @property
    def compared(self) -> int:
        """Comparisons with a verdict; a difference that vanished when asked again (stale) is none."""
        return self.matched + self.mismatched

    @property
    def match_rate(self) -> float | None:
        """From 0 to 1; None when nothing was compared."""
        return self.matched / self.compared if self.compared else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the match rate."""
        return wilson(self.matched, self.compared)


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """One phase from ``since`` to ``until`` (seconds since 1970): all routes together, and each."""

    phase: str
    since: float
    until: float
    total: RouteSummary
    routes: tuple[RouteSummary, ...]
    samples: tuple[Comparison, ...] = field(default=())


def summarise(counts: ShadowCounts) -> RouteSummary:
    """The summary of one route's counts; the fields that differ most come first."""
    fields = [FieldSummary(path, kind, count) for (path, kind), count in counts.fields.items()]
    return RouteSummary(
        route=counts.route,
        eligible=counts.eligible,
        matched=counts.matched,
        mismatched=counts.mismatched,
        stale=counts.stale,
        drops=dict(sorted(counts.drops.items())),
        fields=tuple(sorted(fields, key=lambda f: (-f.count, f.path, f.kind))),
        rules=dict(sorted(counts.rules.items())),
        primary=Latency.of(counts.primary_ms),
        shadow=Latency.of(counts.shadow_ms),
    )


def merge(into: ShadowCounts, other: ShadowCounts) -> None:
    """Add ``other`` to ``into``."""
    into.eligible += other.eligible
    into.matched += other.matched
    into.mismatched += other.mismatched
    into.stale += other.stale
    _add(into.drops, other.drops)
    _add(into.fields, other.fields)
    _add(into.rules, other.rules)
    _add(into.primary_ms, other.primary_ms)
    _add(into.shadow_ms, other.shadow_ms)


def _add(into: dict[_K, int], other: Mapping[_K, int]) -> None:
    for key, count in other.items():
        into[key] = into.get(key, 0) + count
