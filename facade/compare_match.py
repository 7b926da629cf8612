"""Which items of two lists belong together when their order means nothing.

Items that name themselves by a key are paired by it and by nothing else. Otherwise items of equal signature
cancel out, and of what is left the most alike are paired, while that is affordable.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

from facade.compare_align import AFFORDABLE, Pair, likeness

_KEYS = frozenset({str, int, bool, Decimal})

Signatures = Callable[[Sequence[int], Sequence[int]], tuple[Sequence[bytes], Sequence[bytes]]]
"""The signatures of the items at the given positions of the primary's and the shadow's list."""


def match_by_key(
    name: str, primary: Sequence[Any], shadow: Sequence[Any], signatures: Signatures
) -> list[Pair]:
    """Pair objects by their member ``name``; items without one, or with one that repeats, as `match` does."""
    ours, theirs = _by_key(name, primary), _by_key(name, shadow)
    pairs: list[Pair] = [(at, theirs.get(key)) for key, at in ours.items()]
    pairs += ((None, at) for key, at in theirs.items() if key not in ours)
    if len(ours) == len(primary) and len(theirs) == len(shadow):
        return pairs
    rest = [
        [at for at in range(len(items)) if at not in keyed]
        for items, keyed in ((primary, set(ours.values())), (shadow, set(theirs.values())))
    ]
    return pairs + _match(primary, shadow, rest[0], rest[1], signatures)


def match(primary: Sequence[Any], shadow: Sequence[Any], signatures: Signatures) -> list[Pair]:
    """Pair the items of two lists, whatever their order."""
    return _match(primary, shadow, range(len(primary)), range(len(shadow)), signatures)


def in_order(pairs: Sequence[Pair]) -> bool:
    """Whether the items that have a counterpart stand in one order on both sides."""
    order = [there for _, there in sorted((here, there) for here, there in _joined(pairs))]
    return all(one < other for one, other in pairwise(order))


def _joined(pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    for here, there in pairs:
        if here is not None and there is not None:
            yield here, there


def _by_key(name: str, items: Sequence[Any]) -> dict[Hashable, int]:
    """Positions by key, of the items that have one that no other has."""
    keys = [
        (type(item[name]), item[name]) if type(item) is dict and type(item.get(name)) in _KEYS else None
        for item in items
    ]
    counts = Counter(keys)
    return {key: at for at, key in enumerate(keys) if key is not None and counts[key] == 1}


def _match(
    primary: Sequence[Any],
    shadow: Sequence[Any],
    ours: Sequence[int],
    theirs: Sequence[int],
    signatures: Signatures,
) -> list[Pair]:
    left, right = signatures(ours, theirs)
    waiting: defaultdict[bytes, list[int]] = defaultdict(list)
    for at, signature in zip(reversed(theirs), reversed(right), strict=True):
        waiting[signature].append(at)
    pairs: list[Pair] = []
    rest = []
    for at, signature in zip(ours, left, strict=True):
        if places := waiting.get(signature):
            pairs.append((at, places.pop()))
        else:
            rest.append(at)
    return pairs + _most_alike(
        primary, shadow, rest, sorted(at for places in waiting.values() for at in places)
    )


def _most_alike(
    primary: Sequence[Any], shadow: Sequence[Any], ours: Sequence[int], theirs: Sequence[int]
) -> list[Pair]:
    pairs: dict[int, int] = {}
    if len(ours) * len(theirs) <= AFFORDABLE:
        ranked = sorted(
            (-likeness(primary[here], shadow[there]), here, there) for here in ours for there in theirs
        )
        taken: set[int] = set()
        for unlike, here, there in ranked:
            if unlike and here not in pairs and there not in taken:
                pairs[here] = there
                taken.add(there)
        ours = [at for at in ours if at not in pairs]
        theirs = [at for at in theirs if at not in taken]
    both = min(len(ours), len(theirs))
    return [
        *pairs.items(),
        *zip(ours[:both], theirs[:both], strict=True),
        *((at, None) for at in ours[both:]),
        *((None, at) for at in theirs[both:]),
    ]
