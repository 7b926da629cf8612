"""The same reports as tables for the screen."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from facade.compare_paths import field_of
from migration.report.changes import Changes, Turn
from migration.report.demo import PERCENTILES, demo_faults
from migration.report.page import DASH, count, ms, percent, several
from migration.report.verdict import words
from migration.summary import FieldSummary, RouteSummary, ShadowSummary

_FIELDS = 8
"""Differences shown; the page has more."""
_LONGEST = 40
"""Characters of a value shown."""
_COLOURS = {Turn.BETTER: "green", Turn.WORSE: "red", Turn.OPEN: ""}


def shadow_table(summary: ShadowSummary) -> Table:
    """Every route of the phase and their total: comparisons, match rate and the lower end of its interval.

    The last column is the monolith's p99 and the service's, in milliseconds.
    """
    table = Table(title=f"Shadow traffic of {summary.phase}", title_justify="left", header_style="bold")
    table.add_column("route", overflow="fold", min_width=16)
    for heading in ("compared", "match", "at least", "stale", "drops", "p99 ms"):
        table.add_column(heading, justify="right")
    for route in summary.routes:
        table.add_row(route.route, *_figures(route))
    table.add_section()
    table.add_row("all", *_figures(summary.total), style="bold")
    return table


def differences_table(summary: ShadowSummary) -> Table | None:
    """The most frequent differences, each with the latest values of both sides; None without any."""
    found = sorted(
        ((route.route, field) for route in summary.routes for field in route.fields),
        key=lambda each: -each[1].count,
    )
    if not found:
        return None
    table = Table(title="Differences", title_justify="left", header_style="bold")
    for heading in ("place", "route", "kind", "monolith", "service"):
        table.add_column(heading, overflow="fold")
    table.add_column("times", justify="right")
    for route, field in found[:_FIELDS]:
        monolith, service = _latest(summary, route, field)
        # What came from clients is text, and no markup.
        cells = (field.path, route, field.kind, monolith, service, count(field.count))
        table.add_row(*map(Text, cells))
    if len(found) > _FIELDS:
        table.caption = f"{several(len(found) - _FIELDS, 'rarer place')} not shown; --html has more."
    return table


def changes_table(changed: Changes) -> Table:
    """What became of an earlier run: each route's match rate, then each difference that changed."""
    table = Table(title=f"Since {changed.label}", title_justify="left", header_style="bold")
    table.add_column("what", overflow="fold", min_width=18)
    for heading in ("then", "now"):
        table.add_column(heading, justify="right")
    table.add_column("", overflow="fold")
    for route in (*changed.routes, changed.total):
        rates = (DASH if each is None else percent(each.match_rate) for each in (route.before, route.now))
        table.add_row(Text(route.route), *rates, Text(route.turn, _COLOURS[route.turn]))
    table.add_section()
    for field in changed.fields[:_FIELDS]:
        frequencies = (f"{each:,.{int(each < 10)}f} ‰" for each in (field.before, field.now))
        what = Text(f"{field.path} ({field.kind}) in {field.route}")
        table.add_row(what, *frequencies, Text(field.remark, _COLOURS[field.turn]))
    table.add_section()
    for each in changed.latency:
        values = (ms(percentile.value) for percentile in (each.before, each.now))
        table.add_row(f"service, {each.name}", *values, Text(each.turn, _COLOURS[each.turn]))
    return table


def _latest(summary: ShadowSummary, route: str, field: FieldSummary) -> tuple[str, str]:
    """Both sides' values in the latest sample of a difference."""
    for comparison in sorted(summary.samples, key=lambda each: -each.at):
        for each in comparison.differences:
            found = comparison.route, field_of(each.path), each.kind
            if found == (route, field.path, field.kind):
                return _cut(each.primary), _cut(each.shadow)
    return DASH, DASH


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def demo_table(report: Mapping[str, Any]) -> Table:
    """What the demo promises beside what happened."""
    requests, writes, check, shadow = (report[part] for part in ("requests", "writes", "check", "shadow"))
    table = Table(title="The reference migration", title_justify="left", header_style="bold")
    table.add_column("what")
    table.add_column("figure", justify="right")
    rows = [
        ("requests", count(requests["total"])),
        ("failed", count(requests["failed"])),
        ("acknowledged writes", count(writes["acknowledged"])),
        ("found where they belong", count(writes["found"])),
        ("lost", count(writes["lost"])),
        ("doubled", count(writes["doubled"])),
        ("check", f"{'clean' if check['clean'] else 'findings'}, {count(check['rows'])} rows"),
        ("shadow match rate", f"{percent(shadow['match_rate'])} of {count(shadow['compared'])}"),
    ]
    rows += [
        (f"write pause, to the {each['to']} (p99)", ms(each["pause_ms_p99"])) for each in report["switches"]
    ]
    rows += [
        (
            f"latency in {words(stage)} ({' / '.join(PERCENTILES)})",
            " / ".join(ms(figures[each]) for each in PERCENTILES),
        )
        for stage, figures in report["latency_ms"].items()
    ]
    for what, figure in rows:
        table.add_row(what, figure)
    faults = demo_faults(report)
    table.caption = (
        Text(" ".join(faults), "red") if faults else Text("Nothing failed, nothing was lost.", "green")
    )
    table.caption_justify = "left"
    return table


def _figures(route: RouteSummary) -> tuple[str, ...]:
    return (
        count(route.compared),
        percent(route.match_rate),
        percent(route.interval[0]) if route.compared else "",
        count(route.stale),
        count(sum(route.drops.values())),
        " → ".join(
            DASH if each.p99 is None else f"{each.p99.value:.0f}" for each in (route.primary, route.shadow)
        ),
    )
