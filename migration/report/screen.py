"""The same reports as tables for the screen."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from migration.report.demo import PERCENTILES, demo_faults
from migration.report.page import DASH, count, ms, percent
from migration.report.verdict import words
from migration.summary import RouteSummary, ShadowSummary


def shadow_table(summary: ShadowSummary) -> Table:
    """Every route of the phase and their total: comparisons, match rate and the lower end of its interval.

    The last column is the monolith's p99 and the service's, in milliseconds.
    """
    table = Table(title=f"Shadow traffic of {summary.phase}", title_justify="left", header_style="bold")
    table.add_column("route", overflow="fold")
    for heading in ("compared", "match rate", "at least", "differing", "stale", "dropped", "p99 ms"):
        table.add_column(heading, justify="right")
    for route in summary.routes:
        table.add_row(route.route, *_figures(route))
    table.add_section()
    table.add_row("all", *_figures(summary.total), style="bold")
    return table


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
        count(route.mismatched),
        count(route.stale),
        count(sum(route.drops.values())),
        " → ".join(DASH if each.p99 is None else f"{each.p99:.0f}" for each in (route.primary, route.shadow)),
    )
