"""Whether one side is really worse than the other, or might be so by chance. Pure, and exact where it counts.

A guard looks many times, so it asks for very small probabilities. There the normal approximation of a
difference of proportions is far off, so proportions are compared by exact tests. For ranks the normal
approximation errs on the safe side: it makes small probabilities greater than they are.
"""

from collections.abc import Callable, Mapping
from itertools import accumulate
from math import erfc, exp, lgamma, log, sqrt


def fisher(failed: int, total: int, others_failed: int, others_total: int) -> float:
    """The chance of so many failures or more among ``total``, if both sides failed alike.

    Fisher's exact test, one-sided (R. A. Fisher, Statistical Methods for Research Workers, 5th ed. 1934): the
    upper tail of the hypergeometric distribution, summed from its first term by the ratio of neighbours;
    1 where no more failed than one would expect.
    """
    everything, failures = total + others_total, failed + others_failed
    if failed * everything <= failures * total:
        return 1.0
    first = _log_choose(failures, failed) + _log_choose(everything - failures, total - failed)
    return _tail(
        first - _log_choose(everything, total),
        failed,
        min(failures, total),
        lambda k: (failures - k) * (total - k) / ((k + 1) * (everything - failures - total + k + 1)),
    )


def binomial(failed: int, total: int, rate: float) -> float:
    """The chance of so many failures or more among ``total``, if each fails with the given rate (0..1).

    The upper tail of the binomial distribution, summed as above; 1 where no more failed than expected.
    """
    if failed <= total * rate:
        return 1.0
    if rate <= 0.0:
        return 0.0
    odds = rate / (1 - rate)
    first = _log_choose(total, failed) + failed * log(rate) + (total - failed) * log(1 - rate)
    return _tail(first, failed, total, lambda k: (total - k) / (k + 1) * odds)


def mann_whitney(slower: Mapping[float, int], faster: Mapping[float, int]) -> tuple[float, float]:
    """The chance that ``slower`` ranks so high or higher if both come from one distribution; and how often
    one of ``slower`` is above one of ``faster``, a tie counting half (0..1, 0.5 when they are alike).

    Both are counts by value (a histogram's buckets). The U test of H. B. Mann and D. R. Whitney (Annals of
    Mathematical Statistics 18, 1947), one-sided, in the normal approximation with the correction for ties and
    for continuity (as in M. Hollander, D. Wolfe: Nonparametric Statistical Methods, section 4.1).
    """
    n, m = sum(slower.values()), sum(faster.values())
    if n == 0 or m == 0:
        return 1.0, 0.5
    below = ties = 0
    u = 0.0
    for value in sorted(slower.keys() | faster.keys()):
        mine, theirs = slower.get(value, 0), faster.get(value, 0)
        u += mine * (below + theirs / 2)
        below += theirs
        ties += (mine + theirs) ** 3 - (mine + theirs)
    whole = n + m
    variance = n * m / 12 * (whole + 1 - ties / (whole * (whole - 1)))
    if variance <= 0:
        return 1.0, 0.5
    z = (u - n * m / 2 - 0.5) / sqrt(variance)
    return 0.5 * erfc(z / sqrt(2)), u / (n * m)


def quantile(buckets: Mapping[float, int], share: float) -> float:
    """The value of the bucket in which the given share (0..1) is reached; of nothing it is 0."""
    values = sorted(buckets)
    goal = share * sum(buckets.values())
    for value, seen in zip(values, accumulate(buckets[each] for each in values), strict=True):
        if seen >= goal:
            return value
    return 0.0


def _tail(first: float, start: int, end: int, ratio: Callable[[int], float]) -> float:
    term = total = 1.0
    for k in range(start, end):
        term *= ratio(k)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, exp(first) * total)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
