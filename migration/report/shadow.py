"""The shadow report as one HTML page."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor

from facade.compare import Rules
from facade.compare_paths import field_of
from facade.evidence import Comparison, Difference
from migration.plan_gates import Gates
from migration.report.charts import bars
from migration.report.page import render
from migration.report.verdict import DROPS, KINDS, STRUCTURAL, judge, latencies, next_steps, words
from migration.summary import FieldSummary, ShadowSummary

_FIELDS = 40
"""Fields shown; the rest are counted."""
_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Split:
    """A text around the part in which it differs from its counterpart."""

    before: str
    differing: str
    after: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One difference of one request, side by side."""

    comparison: Comparison
    path: str
    primary: Split
    shadow: Split


@dataclass(frozen=True, slots=True)
class Field:
    """One place on one route where answers differed in one way, with the first samples of it."""

    route: str
    summary: FieldSummary
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """All fields that differed in one way."""

    name: str
    title: str
    structural: bool
    fields: tuple[Field, ...]

    @property
    def count(self) -> int:
        return sum(field.summary.count for field in self.fields)


def render_shadow(summary: ShadowSummary, rules: Rules | None = None, gates: Gates | None = None) -> str:
    """The report of one phase as HTML.

    ``rules`` are those the answers are compared by; with them the report names the rules that hid nothing.
    ``gates`` are the phase's limits, by default the plan's defaults.
    """
    gates = gates or Gates()
    unmatched = unmatched_rules(summary, rules or Rules())
    kinds, left_out = _kinds(summary)
    total = summary.total
    return render(
        "shadow.html.j2",
        {
            "summary": summary,
            "total": total,
            "verdict": judge(total, gates),
            "routes": [(route, judge(route, gates).tone) for route in summary.routes],
            "floor": _floor(summary),
            "steps": next_steps(summary, unmatched, gates),
            "kinds": kinds,
            "left_out": left_out,
            "drops": [(words(reason), DROPS.get(reason, ""), n) for reason, n in total.drops.items()],
            "rules": sorted(total.rules.items(), key=lambda rule: -rule[1]),
            "unmatched": unmatched,
            "latency": bars(
                ["p50", "p95", "p99"],
                {"monolith": latencies(total.primary), "service": latencies(total.shadow)},
                "Latency",
            ),
        },
    )


def _floor(summary: ShadowSummary) -> float:
    """The share at which the bars of the match rates begin, so that what differs can be seen."""
    lowest = min((route.interval[0] for route in summary.routes if route.compared), default=0.0)
    return min(floor(lowest * 20) / 20, 0.95)


def unmatched_rules(summary: ShadowSummary, rules: Rules) -> list[str]:
    """The rules that have hidden nothing so far."""
    return [name for name in map(str, rules.every()) if not summary.total.rules.get(name)]


def _kinds(summary: ShadowSummary) -> tuple[list[Kind], int]:
    """The most frequent fields by kind, and how many fields are left out."""
    everything = [(field, route.route) for route in summary.routes for field in route.fields]
    everything.sort(key=lambda found: (found[0].kind not in STRUCTURAL, -found[0].count))
    shown = [
        Field(route, field, tuple(_samples(summary, route, field))[:_SAMPLES])
        for field, route in everything[:_FIELDS]
    ]
    kinds = [
        Kind(name, title, name in STRUCTURAL, fields)
        for name, title in KINDS.items()
        if (fields := tuple(field for field in shown if field.summary.kind == name))
    ]
    return kinds, len(everything) - len(shown)


def _samples(summary: ShadowSummary, route: str, field: FieldSummary) -> Iterator[Sample]:
    """One difference of each sampled request that has this one, oldest first."""
    for comparison in sorted(summary.samples, key=lambda each: each.at):
        if comparison.route != route:
            continue
        for difference in comparison.differences:
            if difference.kind == field.kind and field_of(difference.path) == field.path:
                yield Sample(comparison, difference.path, *split(difference))
                break


def split(difference: Difference) -> tuple[Split, Split]:
    """Both texts, taken apart where they begin and where they stop being different."""
    one, other = difference.primary, difference.shadow
    shorter = min(len(one), len(other))
    head = next((at for at in range(shorter) if one[at] != other[at]), shorter)
    tail = next((at for at in range(shorter - head) if one[-1 - at] != other[-1 - at]), shorter - head)
    return _split(one, head, tail), _split(other, head, tail)


def _split(text: str, head: int, tail: int) -> Split:
    end = len(text) - tail
    return Split(text[:head], text[head:end], text[end:])
