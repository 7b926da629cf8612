"""The shadow report as one HTML page."""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor

from markupsafe import Markup

from facade.compare import Rules
from facade.compare_paths import field_of
from facade.evidence import Comparison, Difference
from migration.plan_gates import Gates
from migration.report.changes import Changes
from migration.report.charts import bars, line
from migration.report.page import render
from migration.report.verdict import (
    DROPS,
    KINDS,
    STRUCTURAL,
    judge,
    kind_title,
    latencies,
    next_steps,
    words,
)
from migration.summary import FieldSummary, ShadowSummary, View

_FIELDS = 40
"""Fields shown; the rest are counted."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Split:
    """A text around the part in which it differs from its counterpart."""

    before: str
    differing: str
    after: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One difference of one request, side by side. ``age`` says whether it is the first or the latest."""

    age: str
    comparison: Comparison
    path: str
    primary: Split
    shadow: Split


@dataclass(frozen=True, slots=True)
class Field:
    """One place on one route where answers differed in one way, with its first and its latest sample."""

    route: str
    summary: FieldSummary
    samples: tuple[Sample, ...]

    @property
    def bars(self) -> list[float]:
        """The trend in percent of its highest step."""
        highest = max(self.summary.trend, default=0)
        return [100 * count / highest for count in self.summary.trend] if highest else []


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


def render_shadow(
    summary: ShadowSummary,
    rules: Rules | None = None,
    gates: Gates | None = None,
    changed: Changes | None = None,
) -> str:
    """The report of one phase as HTML.

    ``rules`` are those the answers are compared by; with them the report names the rules that hid nothing.
    ``gates`` are the phase's limits, by default the plan's defaults. ``changed`` is what became of an earlier
    run.
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
            "changed": changed,
            "narrowed": narrowed(summary.view),
            "trend": _trend(summary),
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


def narrowed(view: View) -> str:
    """What the report leaves out, in a sentence; empty when that is nothing."""
    told = [
        f"{what} {' or '.join(f'“{name}”' for name in names)}"
        for what, names in (
            ("routes with", view.routes),
            ("differences at places with", view.fields),
            ("differences of the kind", view.kinds),
        )
        if names
    ]
    return f"Only {', and '.join(told)}." if told else ""


def _trend(summary: ShadowSummary) -> Markup | None:
    """The match rate in the course of time, once there are two moments to join."""
    points = [(each.at, 100 * each.match_rate) for each in summary.trend if each.match_rate is not None]
    if len(points) < 2:
        return None
    ticks = summary.trend[:: max(1, len(summary.trend) // 6)]
    long = summary.trend[-1].at - summary.trend[0].at > _DAY
    written = "%d %b %H:%M" if long else "%H:%M:%S" if summary.trend[1].at % 60 else "%H:%M"
    marks = {each.at: f"{datetime.fromtimestamp(each.at, UTC):{written}}" for each in ticks}
    return line(points, marks, "%", "Match rate")


def unmatched_rules(summary: ShadowSummary, rules: Rules) -> list[str]:
    """The rules that have hidden nothing so far; of a narrowed report that cannot be told."""
    if summary.view.routes:
        return []
    return [name for name in map(str, rules.every()) if not summary.total.rules.get(name)]


def _kinds(summary: ShadowSummary) -> tuple[list[Kind], int]:
    """The most frequent fields by kind, and how many fields are left out."""
    everything = [(field, route.route) for route in summary.routes for field in route.fields]
    everything.sort(key=lambda found: (found[0].kind not in STRUCTURAL, -found[0].count))
    shown = [Field(route, field, _ends(summary, route, field)) for field, route in everything[:_FIELDS]]
    kinds = [
        Kind(name, kind_title(name), name in STRUCTURAL, fields)
        for name in dict.fromkeys((*KINDS, *(field.summary.kind for field in shown)))
        if (fields := tuple(field for field in shown if field.summary.kind == name))
    ]
    return kinds, len(everything) - len(shown)


def _ends(summary: ShadowSummary, route: str, field: FieldSummary) -> tuple[Sample, ...]:
    """The first and the latest difference of this kind at this place."""
    found = [
        (comparison, difference)
        for comparison in sorted(summary.samples, key=lambda each: each.at)
        if comparison.route == route
        for difference in comparison.differences
        if difference.kind == field.kind and field_of(difference.path) == field.path
    ]
    ends = {"first": found[0], "latest": found[-1]} if found else {}
    if len(found) == 1 or (found and found[0][0] is found[-1][0]):
        del ends["latest"]
    return tuple(
        Sample(age, comparison, difference.path, *split(difference))
        for age, (comparison, difference) in ends.items()
    )


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
