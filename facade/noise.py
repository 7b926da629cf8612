"""How far the monolith's answers differ from its own: what was counted of pairs of answers. Pure.

A pair belongs to one request: the monolith answered it twice, and the service once. Per field and kind of
difference it is counted whether the monolith differed from itself, the service from it, or both; the pairing
is what tells noise from a fault that hides in it (see `migration.calibration`).
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Any, TypeAlias

from facade.compare_values import SHAPES, seconds_apart, shape

Field: TypeAlias = tuple[str, str]
"""A path with [*] for indexes, and a kind of difference."""
ORDER = "order"
"""The kind of the lists in which nothing but the order of the items differs."""

_SHAPES = {name: shape(name) for name in SHAPES}


@dataclass(slots=True)
class Traits:
    """What the differing values of one field have in common: of so many ``values`` how many pairs were of
    one shape, were ``numbers`` (at most so far and by such a ``share`` of the greater apart, ``mixed`` where
    one was whole and the other had a fraction), or ``times``.
    """

    values: int = 0
    shapes: dict[str, int] = field(default_factory=dict)
    numbers: int = 0
    mixed: int = 0
    distance: float = 0.0
    share: float = 0.0
    times: int = 0
    seconds: float = 0.0

    def add(self, one: Any, other: Any) -> None:
        """Two values of the monolith that differ."""
        self.values += 1
        for name, accepts in _SHAPES.items():
            if accepts(one, other):
                self.shapes[name] = self.shapes.get(name, 0) + 1
        if (seconds := seconds_apart(one, other)) is not None:
            self.times += 1
            self.seconds = max(self.seconds, seconds)
        if (numbers := _numbers_apart(one, other)) is not None:
            self.numbers += 1
            self.mixed += type(one) is not type(other)
            self.distance = max(self.distance, numbers[0])
            self.share = max(self.share, numbers[1])

    def merge(self, other: "Traits") -> None:
        self.values += other.values
        for name, count in other.shapes.items():
            self.shapes[name] = self.shapes.get(name, 0) + count
        self.numbers += other.numbers
        self.mixed += other.mixed
        self.distance = max(self.distance, other.distance)
        self.share = max(self.share, other.share)
        self.times += other.times
        self.seconds = max(self.seconds, other.seconds)


@dataclass(slots=True)
class FieldNoise:
    """In how many pairs this field differed for ``both``, for the ``monolith`` alone (it differed from
    itself, the service agreed), and for the ``service`` alone."""

    both: int = 0
    monolith: int = 0
    service: int = 0
    traits: Traits = field(default_factory=Traits)

    def merge(self, other: "FieldNoise") -> None:
        self.both += other.both
        self.monolith += other.monolith
        self.service += other.service
        self.traits.merge(other.traits)


@dataclass(slots=True)
class Noise:
    """What the ``pairs`` of one route showed. In ``noisy`` of them the monolith differed from itself."""

    pairs: int = 0
    noisy: int = 0
    fields: dict[Field, FieldNoise] = field(default_factory=dict)

    def add(self, monolith: Mapping[Field, Traits], service: Set[Field]) -> None:
        """One pair: where the monolith differed from itself, and where the service did from the monolith."""
        self.pairs += 1
        self.noisy += bool(monolith)
        for place, traits in monolith.items():
            found = self.fields.setdefault(place, FieldNoise())
            found.traits.merge(traits)
            if place in service:
                found.both += 1
            else:
                found.monolith += 1
        for place in service - monolith.keys():
            self.fields.setdefault(place, FieldNoise()).service += 1

    def merge(self, other: "Noise") -> None:
        self.pairs += other.pairs
        self.noisy += other.noisy
        for place, found in other.fields.items():
            self.fields.setdefault(place, FieldNoise()).merge(found)


def _numbers_apart(one: Any, other: Any) -> tuple[float, float] | None:
    if not {type(one), type(other)} <= {int, Decimal}:
        return None
    try:
        left, right = float(one), float(other)
    except OverflowError:
        return None
    distance, greater = abs(left - right), max(abs(left), abs(right))
    return (distance, distance / greater if greater else 0.0) if isfinite(distance) else None
