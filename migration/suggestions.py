"""The rules that noise suggests, the tightest that would have held, ready for the plan. Pure."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from facade.compare import Rules
from facade.compare_rules import Rule, RuleKind
from facade.noise import ORDER, Traits
from migration.calibration import FieldJudgement, Judgement
from migration.report.page import count, percent

_MARGIN = 3
"""What was seen is not the most that there is."""
_LEAST_SECONDS = 5
_MOST_SECONDS = 3600
"""Times that are further apart have nothing to do with each other, and are judged by their shape."""
_MOST_SHARE = 0.25
"""Numbers that are further apart are judged by a distance, not by a share."""
_SHAPES = ("uuid", "time", "url", "token", "text")
"""From the narrowest to the widest."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rule of one route, and what speaks for it."""

    route: str
    rule: Rule
    field: FieldJudgement


def suggest(judged: Iterable[FieldJudgement], rules: Rules) -> list[Suggestion]:
    """Rules for every field that is noise, unless its values have nothing in common or the plan has them."""
    return [
        Suggestion(field.route, rule, field)
        for field in judged
        if field.judgement is Judgement.NOISE
        for rule in _rules(field)
        if rule not in rules.of(field.route).every()
    ]


def to_toml(suggestions: Sequence[Suggestion]) -> str:
    """The sections for the plan, each rule with its evidence; empty without any."""
    lines: list[str] = []
    by_route: dict[str, list[Suggestion]] = {}
    for each in suggestions:
        by_route.setdefault(each.route, []).append(each)
    for route, those in by_route.items():
        lines += _section(f"phases.shadow.routes.{json.dumps(route, ensure_ascii=False)}", those)
    return "\n".join(lines)


def _section(name: str, suggestions: Sequence[Suggestion]) -> Iterator[str]:
    lists = [each for each in suggestions if not each.rule.argument]
    if lists:
        yield f"[{name}]"
        for kind in {each.rule.kind: None for each in lists}:
            yield f"{kind} = ["
            for each in lists:
                if each.rule.kind is kind:
                    yield f"  {_quoted(each.rule.path)},  # {_evidence(each.field)}"
            yield "]"
        yield ""
    for kind in {each.rule.kind: None for each in suggestions if each.rule.argument}:
        yield f"[{name}.{kind}]"
        for each in suggestions:
            if each.rule.kind is kind:
                yield f"{_quoted(each.rule.path)} = {_quoted(each.rule.argument)}  # {_evidence(each.field)}"
        yield ""


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _evidence(field: FieldJudgement) -> str:
    low, high = field.monolith_interval
    return (
        f"the monolith differs from itself in {count(field.monolith)} of {count(field.pairs)} "
        f"({percent(low)} to {percent(high)}), the service in {count(field.service)}; p = {field.chance:.2g}"
    )


def _rules(field: FieldJudgement) -> Iterator[Rule]:
    rule = _rule(field)
    if rule is not None:
        yield rule
        if field.traits.mixed:
            yield Rule(RuleKind.NUMBER_FORM, field.path)


def _rule(field: FieldJudgement) -> Rule | None:
    if not field.path.startswith("$") or "[redacted" in field.path:
        return None
    if field.kind == ORDER:
        return Rule(RuleKind.UNORDERED, field.path)
    traits = field.traits
    if not traits.values:
        return None
    if traits.times == traits.values and traits.seconds * _MARGIN <= _MOST_SECONDS:
        seconds = max(_LEAST_SECONDS, ceil(traits.seconds * _MARGIN))
        return Rule(RuleKind.TOLERANCE, field.path, f"{seconds}s")
    if traits.numbers == traits.values:
        return Rule(RuleKind.TOLERANCE, field.path, _tolerance(traits))
    shape = next((name for name in _SHAPES if traits.shapes.get(name) == traits.values), None)
    return Rule(RuleKind.SHAPE, field.path, shape) if shape is not None else None


def _tolerance(traits: Traits) -> str:
    """A share where that is small, else a distance: of both what was seen, with a margin, rounded up."""
    if traits.share * _MARGIN <= _MOST_SHARE:
        return f"{_rounded(traits.share * _MARGIN * 100)}%"
    return _rounded(traits.distance * _MARGIN)


def _rounded(number: float) -> str:
    """Up, to two digits that count."""
    digits = 1 - floor(log10(number))
    if digits <= 0:
        return str(ceil(number * 10**digits) * 10**-digits)
    return f"{ceil(number * 10**digits) / 10**digits:.{digits}f}"


def suggested(rules: Rules, suggestions: Iterable[Suggestion]) -> Rules:
    """The rules with what is suggested, as the plan would have them."""
    routes: dict[str, tuple[Rule, ...]] = dict(rules.routes)
    for each in suggestions:
        routes[each.route] = (*routes.get(each.route, ()), each.rule)
    return Rules(rules.ignore, rules.headers, rules.rules, routes)
