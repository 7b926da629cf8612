"""The report of the reference migration as one HTML page."""

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from migration.report.charts import bars, line, lying_bars
from migration.report.page import render
from migration.report.verdict import words

PERCENTILES = ("p50", "p95", "p99")


def render_demo(report: Mapping[str, Any]) -> str:
    """The report of ``strangler demo`` as HTML, from the document its ``--json`` writes.

    ``timeline``, if there, is a list of ``{"at": seconds, "stage", "rps", "p95": milliseconds}``.
    """
    stages, switches = report["latency_ms"], report["switches"]
    return render(
        "demo.html.j2",
        {
            "report": report,
            "faults": demo_faults(report),
            "percentiles": PERCENTILES,
            "stages": [(words(stage), figures) for stage, figures in stages.items()],
            "latency": bars(
                [words(stage) for stage in stages],
                {each: [figures[each] for figures in stages.values()] for each in PERCENTILES},
                "Latency",
            ),
            "pauses": lying_bars(
                [(f"{at}. to the {each['to']}", each["pause_ms_p99"]) for at, each in enumerate(switches, 1)],
                "Write pause",
            ),
            "timeline": _timeline(report.get("timeline", ())),
        },
    )


def demo_faults(report: Mapping[str, Any]) -> list[str]:
    """What went wrong, one short sentence each; nothing when the migration kept its promises."""
    requests, writes, switches = report["requests"], report["writes"], report["switches"]
    refused = sum(each["errors"] for each in switches)
    missing = writes["acknowledged"] - writes["found"]
    return [
        text
        for wrong, text in (
            (requests["failed"], f"{requests['failed']:,} requests failed."),
            (writes["lost"], f"{writes['lost']:,} acknowledged writes were lost."),
            (writes["doubled"], f"{writes['doubled']:,} writes were applied twice."),
            (missing > writes["lost"], f"{missing:,} acknowledged writes were not found where they belong."),
            (refused, f"{refused:,} writes were refused during a switch."),
            (not report["check"]["clean"], "The two databases differ."),
        )
        if wrong
    ]


def _timeline(points: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """Throughput and latency over the run, with a mark wherever a stage begins."""
    if not points:
        return {}
    marks: dict[float, str] = {}
    stage = None
    for point in points:
        if point["stage"] != stage:
            stage = point["stage"]
            marks[point["at"]] = words(stage)
    series = {"Requests a second": ("rps", "/s"), "Latency p95": ("p95", "ms")}
    return {
        title: line([(each["at"], each[key]) for each in points if each[key] is not None], marks, unit, title)
        for title, (key, unit) in series.items()
    }
