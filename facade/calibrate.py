"""Two answers by the monolith and one by the service, to the same request: what differs where. Pure."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from facade.compare import Answer, Rules, compare
from facade.compare_location import Asked
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
    """The fields in which two answers differ. Lists of which only the order differs count as that alone."""
    found = _watched(primary, other, rules, asked)
    lists = {path for place, _ in found for path in _lists_above(place)}
    for path in sorted(lists, key=len)[:_LISTS]:
        if not any(_is_below(place, path) for place, _ in found):
            continue
        free = replace(rules, rules=(*rules.rules, Rule(RuleKind.UNORDERED, path)))
        unordered = _watched(primary, other, free, asked)
        if not any(_is_below(place, path) for place, _ in unordered):
            found = {**unordered, (path, ORDER): Traits()}
            rules = free
    return found


def _watched(primary: Answer, other: Answer, rules: Rules, asked: Asked) -> dict[Field, Traits]:
    traits: dict[Field, Traits] = {}

    def watch(path: str, kind: str, one: Any, two: Any) -> None:
        if kind == "value":
            traits.setdefault((redact_path(path), kind), Traits()).add(one, two)

    outcome = compare(primary, other, rules, asked, watch)
    return {place: traits.get(place) or Traits() for place in outcome.fields}


def _lists_above(path: str) -> list[str]:
    """The paths of the lists that a field is in, the outermost first."""
    parts = path.split("[*]")
    return ["[*]".join(parts[:depth]) for depth in range(1, len(parts))] if path.startswith("$") else []


def _is_below(path: str, above: str) -> bool:
    return path.startswith(f"{above}[*]")
