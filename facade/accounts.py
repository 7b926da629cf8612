"""The books of the shadow: every eligible request ends in exactly one place (invariant I10)."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from facade.calibrate import Pair
from facade.compare import Outcome
from facade.compare_paths import field_of
from facade.evidence import LATENCY_BUCKETS_MS, Comparison, ShadowCounts

Key = TypeVar("Key", bound=Hashable)

SAMPLES = 8
"""Differing requests kept until they are taken: of each kind of difference at each place of a route one."""


class Accounts:
    """Counts by phase and route since they were last taken. A request is counted when it is settled, whole:
    as eligible and as what became of it, so that the books balance at every moment."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], ShadowCounts] = {}
        self._samples: list[Comparison] = []
        self._seen: set[tuple[str, str, str, str]] = set()

    def drop(self, phase: str, route: str, reason: str) -> None:
        """The request was not compared."""
        counts = self._of(phase, route)
        counts.eligible += 1
        counts.drops[reason] = counts.drops.get(reason, 0) + 1

    def compared(
        self,
        phase: str,
        route: str,
        outcome: Outcome,
        *,
        stale: bool,
        primary_ms: float,
        shadow_ms: float,
        lag: float | None = None,
    ) -> None:
        """The request was compared. ``stale``: it differed at first, when replication was ``lag`` seconds
        behind, and not any more."""
        counts = self._of(phase, route)
        counts.eligible += 1
        if outcome.differences:
            counts.mismatched += 1
        elif stale:
            counts.stale += 1
            if lag is not None:
                _add(counts.stale_ms, {_bucket(lag * 1000): 1})
        else:
            counts.matched += 1
        _add(counts.fields, outcome.fields)
        _add(counts.rules, outcome.rules)
        _add(counts.primary_ms, {_bucket(primary_ms): 1})
        _add(counts.shadow_ms, {_bucket(shadow_ms): 1})

    def calibrated(self, phase: str, route: str, pair: Pair) -> None:
        """The monolith was asked twice. The request is counted as compared besides."""
        self._of(phase, route).noise.add(pair.monolith, pair.service)

    def sample(self, comparison: Comparison) -> None:
        """Keep a differing request, if it shows what none does that is kept already."""
        if len(self._samples) >= SAMPLES:
            return
        phase, route = comparison.phase, comparison.route
        shown = {(phase, route, field_of(each.path), each.kind) for each in comparison.differences}
        if not shown <= self._seen:
            self._seen |= shown
            self._samples.append(comparison)

    def take(self) -> tuple[Sequence[ShadowCounts], Sequence[Comparison]]:
        """Everything since the last call, which is then forgotten."""
        counts, self._counts = list(self._counts.values()), {}
        samples, self._samples = self._samples, []
        self._seen.clear()
        return counts, samples

    def give_back(self, counts: Iterable[ShadowCounts], samples: Sequence[Comparison]) -> None:
        """What was taken could not be recorded: keep it for the next time."""
        for each in counts:
            mine = self._of(each.phase, each.route)
            mine.eligible += each.eligible
            mine.matched += each.matched
            mine.mismatched += each.mismatched
            mine.stale += each.stale
            _add(mine.drops, each.drops)
            _add(mine.fields, each.fields)
            _add(mine.rules, each.rules)
            _add(mine.primary_ms, each.primary_ms)
            _add(mine.shadow_ms, each.shadow_ms)
            _add(mine.stale_ms, each.stale_ms)
            mine.noise.merge(each.noise)
        self._samples = [*samples, *self._samples][:SAMPLES]

    def _of(self, phase: str, route: str) -> ShadowCounts:
        counts = self._counts.get((phase, route))
        if counts is None:
            counts = self._counts[phase, route] = ShadowCounts(phase, route)
        return counts


def _add(into: dict[Key, int], more: Mapping[Key, int]) -> None:
    for key, number in more.items():
        into[key] = into.get(key, 0) + number


def _bucket(milliseconds: float) -> float:
    return LATENCY_BUCKETS_MS[min(bisect_left(LATENCY_BUCKETS_MS, milliseconds), len(LATENCY_BUCKETS_MS) - 1)]
