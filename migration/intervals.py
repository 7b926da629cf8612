"""How sure a figure is: 95 % intervals of rates, of their differences, and of percentiles. Pure."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

from facade.evidence import LATENCY_BUCKETS_MS

Interval = tuple[float, float]

_Z95 = 1.959964
_TAIL = 0.025
_MANY = 1000.0
"""Variance of a binomial count from which on the normal distribution stands for it."""


def wilson(hits: int, total: int) -> Interval:
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


def newcombe(before: tuple[int, int], now: tuple[int, int]) -> Interval:
    """The 95 % interval of how much a rate grew between two independent samples, each (hits, total).

    Newcombe's hybrid score interval (Statistics in Medicine 17, 1998, method 10): made of the two Wilson
    intervals, and so good for rates near 1. From -1 to 1 when either sample is empty.
    """
    if not before[1] or not now[1]:
        return -1.0, 1.0
    was, is_ = before[0] / before[1], now[0] / now[1]
    (was_low, was_high), (low, high) = wilson(*before), wilson(*now)
    down = sqrt((is_ - low) ** 2 + (was_high - was) ** 2)
    up = sqrt((high - is_) ** 2 + (was - was_low) ** 2)
    return is_ - was - down, is_ - was + up


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile in milliseconds, and its 95 % interval."""

    value: float
    low: float
    high: float


def percentile(buckets: Mapping[float, int], share: float) -> Percentile | None:
    """The percentile of measurements counted in ``buckets`` (upper bound to count); None of nothing.

    The value is the upper bound of the bucket in which ``share`` (0..1) is reached. The interval is the
    bootstrap's, without drawing: of so many values drawn again with replacement, those in a bucket and below
    are a binomial count, hence the distribution of a drawn sample's percentile is known (Maritz and Jarrett,
    JASA 73, 1978). It reaches from the lower bound of the bucket with its 2.5 % quantile to the upper bound
    of the one with its 97.5 % quantile: the width of the buckets is part of the doubt.
    """
    bounds = sorted(bound for bound, count in buckets.items() if count)
    below = list(accumulate(buckets[bound] for bound in bounds))
    if not below:
        return None
    total = below[-1]
    rank = max(1, ceil(share * total))

    def reached(probability: float) -> float:
        """The bucket in which a drawn sample's percentile lies, or below it, with this probability."""
        at = bisect_left(below, probability, key=lambda seen: _at_least(rank, total, seen / total))
        return bounds[at]

    return Percentile(bounds[bisect_left(below, rank)], _lower_bound(reached(_TAIL)), reached(1.0 - _TAIL))


def _lower_bound(bound: float) -> float:
    """Where the bucket with this upper bound begins."""
    at = bisect_left(LATENCY_BUCKETS_MS, bound)
    return LATENCY_BUCKETS_MS[at - 1] if at else 0.0


def _at_least(hits: int, draws: int, chance: float) -> float:
    """How likely ``draws`` independent draws of this chance hit at least so often (1 or more)."""
    if chance >= 1:
        return 1.0
    mean = draws * chance
    if (variance := mean * (1 - chance)) > _MANY:
        return 1.0 - NormalDist(mean, sqrt(variance)).cdf(hits - 0.5)
    if hits > mean:
        return _tail(hits, draws, chance)
    return 1.0 - _tail(draws - hits + 1, draws, 1 - chance)


def _tail(hits: int, draws: int, chance: float) -> float:
    """The same, for more hits than are to be expected: the terms shrink, and soon do not count."""
    term = exp(
        lgamma(draws + 1)
        - lgamma(hits + 1)
        - lgamma(draws - hits + 1)
        + hits * log(chance)
        + (draws - hits) * log1p(-chance)
    )
    total = 0.0
    while hits <= draws and term > 1e-12 * total:
        total += term
        term *= (draws - hits) / (hits + 1) * chance / (1 - chance)
        hits += 1
    return total
