"""Two answers by the monolith and one by the service, to the same request: what differs where. Pure."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from facade.compare import Answer, Rules, compare
from facade.compare_location import Asked
from facade.compare_paths import RuleError
from facade.compare_rules import Rule, RuleKind
from facade.noise import ORDER, Field, Traits
from facade.redact import redact_path

_LISTS = 5
"""Lists of one answer that are looked at again without their order."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Where the ``monolith`` differed from itself, with what the values have in common, and where the
    ``service`` differed from it. Redacted as every difference is."""

    monolith: Mapping[Field, Traits]
    service: Set[Field]

    @property
    def differs(self) -> bool:
        return bool(self.monolith or self.service)


def calibrate(primary: Answer, again: Answer, shadow: Answer, rules: Rules, asked: Asked) -> Pair:
    """What one request shows: both comparisons are made with the same answer and by the same rules."""
    return Pair(_differing(primary, again, rules, asked), _differing(primary, shadow, rules, asked).keys())


def _differing(primary: Answer, other: Answer, rules: Rules, asked: Asked) -> dict[Field, Traits]:
    """The fields in which two answers differ. A list with its items in another order counts as that."""
    found, tried, order = _watched(primary, other, rules, asked), set[str](), dict[Field, Traits]()
    while len(tried) < _LISTS and (lists := _lists(found.counts) - tried):
        path = min(lists, key=lambda each: (len(each), each))
        tried.add(path)
        try:
            unordered = Rule(RuleKind.UNORDERED, path)
        except RuleError:  # what was redacted in it is no path any more
            continue
        free = replace(rules, rules=(*rules.rules, unordered))
        freed = _watched(primary, other, free, asked)
        if _explains(path, freed.counts, found.counts):
            found, rules = freed, free
            order[path, ORDER] = Traits()
    return {place: found.traits.get(place) or Traits() for place in found.counts} | order


class _Watched(NamedTuple):
    """How often each field differed, and what its values have in common."""

    counts: Mapping[Field, int]
    traits: Mapping[Field, Traits]


def _watched(primary: Answer, other: Answer, rules: Rules, asked: Asked) -> _Watched:
    traits: dict[Field, Traits] = {}

    def watch(path: str, kind: str, one: Any, two: Any) -> None:
        if kind == "value":
            traits.setdefault((redact_path(path), kind), Traits()).add(one, two)

    return _Watched(compare(primary, other, rules, asked, watch).fields, traits)


def _explains(path: str, freed: Mapping[Field, int], found: Mapping[Field, int]) -> bool:
    """Whether less differs without the order: no item is left over or of another type, where there was one or
    more differed."""
    before, after = sum(found.values()), sum(freed.values())
    return not _odd_items(path, freed) and (after < before or (after == before and _odd_items(path, found)))


def _odd_items(path: str, fields: Iterable[Field]) -> bool:
    return any(place == f"{path}[*]" and kind != "value" for place, kind in fields)


def _lists(fields: Iterable[Field]) -> set[str]:
    """The paths of the lists that these fields are in."""
    return {
        path[: step.start()]
        for path, _ in fields
        if path.startswith("$")
        for step in _STEP.finditer(path)
        if step[0] == "[*]"
    }


_STEP = re.compile(r"\['(?:[^'\\]|\\.)*'\]|\[\*\]")
