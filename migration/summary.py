"""What shadow traffic has shown of a phase: match rates with their uncertainty, fields, latencies. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from typing import TypeVar

from facade.compare_paths import field_of
from facade.evidence import Comparison, Difference, ShadowCounts
from migration.intervals import Interval, Percentile, percentile, wilson

_K = TypeVar("_K")

_STEPS = (1, 5, 15, 60, 300, 900, 3600, 6 * 3600, 86_400)
"""Seconds that one step of a trend may last."""
_MOST_STEPS = 60


@dataclass(frozen=True, slots=True)
class Agreement:
    """Comparisons with a verdict; a difference that vanished when asked again (stale) is none."""

    matched: int
    mismatched: int

    @property
    def compared(self) -> int:
        return self.matched + self.mismatched

    @property
    def match_rate(self) -> float | None:
        """From 0 to 1; None when nothing was compared."""
        return self.matched / self.compared if self.compared else None

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the match rate."""
        return wilson(self.matched, self.compared)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one side, with their intervals; None where nothing was measured."""

    count: int
    p50: Percentile | None
    p95: Percentile | None
    p99: Percentile | None

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
    """How often the answers differed at one place in one way, in all and in each step of the trend."""

    path: str
    kind: str
    count: int
    trend: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteSummary(Agreement):
    """One route. ``eligible = matched + mismatched + stale + sum(drops)`` (invariant I10)."""

    route: str
    eligible: int
    stale: int
    drops: Mapping[str, int]
    fields: tuple[FieldSummary, ...]
    rules: Mapping[str, int]
    primary: Latency
    shadow: Latency
    stale_lag: Latency
    """How far replication was behind at stale reads, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Moment(Agreement):
    """What was settled in one step of the trend, which began ``at`` (seconds since 1970)."""

    at: float
    stale: int
    dropped: int


@dataclass(frozen=True, slots=True)
class View:
    """What a report is narrowed to: routes, places and kinds of difference. Empty is everything.

    A name is given whole or in part, in any case. The figures are those of the routes; places and kinds
    choose among their differences.
    """

    routes: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def has_route(self, route: str) -> bool:
        return _named(route, self.routes)

    def has_field(self, path: str, kind: str) -> bool:
        return _named(path, self.fields) and (not self.kinds or kind in self.kinds)


WHOLE = View()


@dataclass(frozen=True, slots=True)
class ShadowSummary:
    """One phase from ``since`` to ``until`` (seconds since 1970): all routes together, and each.

    ``trend`` is in steps of equal length. ``source`` says where the requests came from, when they were not
    the clients' own.
    """

    phase: str
    since: float
    until: float
    total: RouteSummary
    routes: tuple[RouteSummary, ...]
    samples: tuple[Comparison, ...] = field(default=())
    trend: tuple[Moment, ...] = field(default=())
    view: View = WHOLE
    source: str | None = None


Slot = tuple[float, ShadowCounts]
"""When a stretch of time began, and what one route's requests came to in it."""


def summarise_phase(
    phase: str,
    since: float,
    until: float,
    slots: Iterable[Slot],
    samples: Iterable[Comparison] = (),
    *,
    shortest: int = 60,
    view: View = WHOLE,
    source: str | None = None,
) -> ShadowSummary:
    """The summary of the slots in the view. ``shortest`` is how many seconds a step of the trend lasts.

    A ``since`` of 0 stands for the first slot.
    """
    chosen = [(at, counts) for at, counts in slots if view.has_route(counts.route)]
    since = since or min((at for at, _ in chosen), default=until)
    steps = _Steps.over([at for at, _ in chosen], shortest)
    total = _Gathered(ShadowCounts(phase, "*"))
    routes: dict[str, _Gathered] = {}
    for at, counts in chosen:
        step = steps.of(at)
        for gathered in (
            total,
            routes.setdefault(counts.route, _Gathered(ShadowCounts(phase, counts.route))),
        ):
            gathered.add(step, counts)
    return ShadowSummary(
        phase,
        since,
        until,
        summarise(total.counts, total.trends(steps, view)),
        tuple(summarise(each.counts, each.trends(steps, view)) for _, each in sorted(routes.items())),
        tuple(
            shown
            for each in samples
            if view.has_route(each.route) and (shown := _seen(each, view)) is not None
        ),
        total.moments(steps),
        view,
        source,
    )


def summarise(
    counts: ShadowCounts, fields: Mapping[tuple[str, str], Sequence[int]] | None = None
) -> RouteSummary:
    """The summary of one route's counts; the fields that differ most come first.

    ``fields`` are those to keep, with their trends; by default all, without.
    """
    kept = dict.fromkeys(counts.fields, ()) if fields is None else fields
    summaries = [
        FieldSummary(path, kind, counts.fields[path, kind], tuple(trend))
        for (path, kind), trend in kept.items()
    ]
    return RouteSummary(
        matched=counts.matched,
        mismatched=counts.mismatched,
        route=counts.route,
        eligible=counts.eligible,
        stale=counts.stale,
        drops=dict(sorted(counts.drops.items())),
        fields=tuple(sorted(summaries, key=lambda f: (-f.count, f.path, f.kind))),
        rules=dict(sorted(counts.rules.items())),
        primary=Latency.of(counts.primary_ms),
        shadow=Latency.of(counts.shadow_ms),
        stale_lag=Latency.of(counts.stale_ms),
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
    _add(into.stale_ms, other.stale_ms)


@dataclass(frozen=True, slots=True)
class _Steps:
    """A trend's steps: when the first begins, how long each lasts, how many there are."""

    first: float
    seconds: int
    number: int

    @classmethod
    def over(cls, slots: Sequence[float], shortest: int) -> "_Steps":
        if not slots:
            return cls(0.0, shortest, 0)
        span = max(slots) - min(slots)
        seconds = next(
            (each for each in _STEPS if each >= shortest and span / each < _MOST_STEPS), _STEPS[-1]
        )
        first = floor(min(slots) / seconds) * seconds
        return cls(first, seconds, int((max(slots) - first) // seconds) + 1)

    def of(self, at: float) -> int:
        return int((at - self.first) // self.seconds)


class _Gathered:
    """Counts of many slots, in all and by step."""

    def __init__(self, counts: ShadowCounts) -> None:
        self.counts = counts
        self._steps: dict[int, ShadowCounts] = {}

    def add(self, step: int, counts: ShadowCounts) -> None:
        merge(self.counts, counts)
        merge(self._steps.setdefault(step, ShadowCounts(counts.phase, counts.route)), counts)

    def trends(self, steps: _Steps, view: View) -> dict[tuple[str, str], list[int]]:
        return {
            field: [self._step(at).fields.get(field, 0) for at in range(steps.number)]
            for field in self.counts.fields
            if view.has_field(*field)
        }

    def moments(self, steps: _Steps) -> tuple[Moment, ...]:
        return tuple(
            Moment(
                each.matched,
                each.mismatched,
                steps.first + at * steps.seconds,
                each.stale,
                sum(each.drops.values()),
            )
            for at in range(steps.number)
            for each in (self._step(at),)
        )

    def _step(self, at: int) -> ShadowCounts:
        return self._steps.get(at) or ShadowCounts(self.counts.phase, self.counts.route)


def _named(name: str, parts: Sequence[str]) -> bool:
    return not parts or any(part.casefold() in name.casefold() for part in parts)


def _seen(sample: Comparison, view: View) -> Comparison | None:
    """The sample with those of its differences that the view shows; None without any."""
    kept: tuple[Difference, ...] = tuple(
        each for each in sample.differences if view.has_field(field_of(each.path), each.kind)
    )
    return replace(sample, differences=kept) if kept else None


def _add(into: dict[_K, int], other: Mapping[_K, int]) -> None:
    for key, count in other.items():
        into[key] = into.get(key, 0) + count
