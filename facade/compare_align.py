"""Which items of two lists belong together, order kept: a cheap longest common subsequence.

Equal ends are taken off first. Then items whose signatures agree become anchors (the longest increasing run
of them, in n log n). Between two anchors, objects are matched by the member that best tells them apart, then
by likeness while that is affordable, and otherwise one after another.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[int | None, int | None]
"""Positions in the primary's and the shadow's list; None where one side has no such item."""

AFFORDABLE = 400
"""Pairs of items whose likeness may be computed in one gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions yet to be paired: ``[top, bottom)`` of the primary's, ``[first, last)`` of the shadow's."""

    top: int
    bottom: int
    first: int
    last: int

    @property
    def pairs(self) -> list[Pair]:
        """Item by item; what one side has more of stays alone."""
        both = min(self.bottom - self.top, self.last - self.first)
        return [
            *zip(range(self.top, self.top + both), range(self.first, self.first + both), strict=True),
            *((at, None) for at in range(self.top + both, self.bottom)),
            *((None, at) for at in range(self.first + both, self.last)),
        ]


def align(
    primary: Sequence[Any], shadow: Sequence[Any], signatures: tuple[Sequence[bytes], Sequence[bytes]]
) -> Iterator[Pair]:
    """Pair the items of two lists. Equal signatures mean items that need no telling apart."""
    left, right = signatures
    shorter = min(len(left), len(right))
    head = next((at for at in range(shorter) if left[at] != right[at]), shorter)
    tail = next((at for at in range(shorter - head) if left[-1 - at] != right[-1 - at]), shorter - head)
    middle = Gap(head, len(left) - tail, head, len(right) - tail)
    yield from zip(range(head), range(head), strict=True)
    inner = left[head : middle.bottom], right[head : middle.last]
    for pair in _in_place(middle, *inner) or _between(middle, *inner):
        if isinstance(pair, Gap):
            yield from _fill(pair, primary, shadow)
        else:
            yield pair
    yield from zip(range(middle.bottom, len(left)), range(middle.last, len(right)), strict=True)


def _in_place(gap: Gap, left: Sequence[bytes], right: Sequence[bytes]) -> list[Pair | Gap]:
    """What `_between` would find where items were only changed, not moved; empty where that is not sure."""
    if len(left) != len(right):
        return []
    odd = [at for at, signature in enumerate(left) if signature != right[at]]
    if not {left[at] for at in odd}.isdisjoint(right[at] for at in odd):
        return []
    parts: list[Pair | Gap] = []
    at = 0
    while at < len(left):
        begin = at
        while at < len(left) and left[at] != right[at]:
            at += 1
        if at > begin:
            parts.append(Gap(gap.top + begin, gap.top + at, gap.first + begin, gap.first + at))
        else:
            parts.append((gap.top + at, gap.first + at))
            at += 1
    return parts


def _between(gap: Gap, left: Sequence[bytes], right: Sequence[bytes]) -> Iterator[Pair | Gap]:
    """The anchors that the signatures of a gap give, and the smaller gaps that remain around them."""
    top, first = gap.top, gap.first
    for at, to in _anchors(left, right):
        here, there = gap.top + at, gap.first + to
        if here > top or there > first:
            yield Gap(top, here, first, there)
        yield here, there
        top, first = here + 1, there + 1
    if gap.bottom > top or gap.last > first:
        yield Gap(top, gap.bottom, first, gap.last)


def _anchors(left: Sequence[bytes], right: Sequence[bytes]) -> list[tuple[int, int]]:
    """The longest increasing run of equal signatures, the n-th of one kind standing for the n-th."""
    seen: Counter[bytes] = Counter()
    places: dict[tuple[bytes, int], int] = {}
    for at, signature in enumerate(right):
        places[signature, seen[signature]] = at
        seen[signature] += 1
    seen.clear()
    common: list[tuple[int, int]] = []
    for at, signature in enumerate(left):
        to = places.get((signature, seen[signature]))
        seen[signature] += 1
        if to is not None:
            common.append((at, to))
    return _increasing(common)


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence whose second members increase (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for at, (_, to) in enumerate(pairs):
        pile = bisect_left(tails, to)
        before.append(ends[pile - 1] if pile else -1)
        if pile == len(tails):
            tails.append(to)
            ends.append(at)
        else:
            tails[pile], ends[pile] = to, at
    run, at = [], ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _fill(gap: Gap, primary: Sequence[Any], shadow: Sequence[Any]) -> Iterator[Pair]:
    left, right = primary[gap.top : gap.bottom], shadow[gap.first : gap.last]
    if min(len(left), len(right)) == 0 or len(left) == len(right) == 1:
        yield from gap.pairs
        return
    name = _identity(left, right)
    if name is None:
        yield from _by_likeness(gap, left, right)
        return
    keys = tuple([repr(item[name]).encode() for item in items] for items in (left, right))
    for pair in _between(gap, *keys):
        if isinstance(pair, Gap):
            inner = primary[pair.top : pair.bottom], shadow[pair.first : pair.last]
            yield from _by_likeness(pair, *inner)
        else:
            yield pair


def _identity(left: Sequence[Any], right: Sequence[Any]) -> str | None:
    """The member that differs within each side and agrees most between them, such as an ``id``."""
    if not all(isinstance(item, dict) for items in (left, right) for item in items):
        return None
    best, most = None, 0
    for name, example in left[0].items():
        if isinstance(example, bool) or not isinstance(example, str | int):
            continue
        here, there = ([item.get(name) for item in items if name in item] for items in (left, right))
        if len(here) < len(left) or len(there) < len(right):
            continue
        ours, theirs = ({repr(value) for value in values} for values in (here, there))
        if len(ours) == len(left) and len(theirs) == len(right) and len(ours & theirs) > most:
            best, most = name, len(ours & theirs)
    return best


def _by_likeness(gap: Gap, left: Sequence[Any], right: Sequence[Any]) -> list[Pair]:
    """Pair every item of the shorter side, in order, so that the sum of likenesses is greatest."""
    if len(left) == len(right) or len(left) * len(right) > AFFORDABLE:
        return gap.pairs
    if len(left) > len(right):
        flipped = Gap(gap.first, gap.last, gap.top, gap.bottom)
        return [(at, to) for to, at in _by_likeness(flipped, right, left)]
    best = [[0.0] * (len(right) + 1)]
    for i, item in enumerate(left, 1):
        row = [0.0] * i
        for j in range(i, len(right) + 1):
            paired = best[i - 1][j - 1] + likeness(item, right[j - 1])
            row.append(paired if j == i else max(row[j - 1], paired))
        best.append(row)
    pairs: list[Pair] = []
    i, j = len(left), len(right)
    while j:
        if j > i and (i == 0 or best[i][j - 1] >= best[i][j]):
            pairs.append((None, gap.first + j - 1))
        else:
            i -= 1
            pairs.append((gap.top + i, gap.first + j - 1))
        j -= 1
    return pairs[::-1]


def likeness(one: Any, other: Any) -> float:
    """From 0 to 1: the share that two objects have in common, or how near two numbers are.

    There is a trace of it for being of one type.
    """
    if type(one) is not type(other):
        return 0.0
    if isinstance(one, dict) and one:
        same = sum(_agreement(value, other[name]) for name, value in one.items() if name in other)
        return 0.1 + 0.9 * same / max(len(one), len(other))
    return 0.1 + 0.9 * _nearness(one, other)


def _agreement(one: Any, other: Any) -> float:
    return 1.0 if repr(one) == repr(other) else 0.9 * _nearness(one, other)


def _nearness(one: Any, other: Any) -> float:
    if type(one) is not type(other) or type(one) not in {int, Decimal}:
        return 0.0
    try:
        apart = abs(float(one) - float(other))
    except OverflowError:
        return 0.0
    return 1 / (1 + apart) if isfinite(apart) else 0.0
