"""The demo's report: what was promised, and what the clients' own records say happened."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from migration.checking import CheckReport
from migration.demo import lookup
from migration.demo.environment import Databases
from migration.demo.history import History, Request, Verdict, Write, judge, percentiles, stage_at, timeline
from migration.demo.journey import Switched, Travelled
from migration.summary import ShadowSummary

_WINDOW_SECONDS = 2.0
_WRITE_METHODS = ("POST", "PUT", "DELETE")


def assemble(
    history: History,
    travelled: Travelled,
    databases: Databases,
    checks: Sequence[CheckReport],
    shadow: ShadowSummary,
    seconds: float,
) -> dict[str, Any]:
    """The report as plain values, in the shape that ``strangler demo --json`` promises."""
    failed = [request for request in history.requests if request.error is not None]
    verdict = looked_up(history.writes, databases, "service")
    return {
        "requests": {"total": len(history.requests), "failed": len(failed)},
        "writes": {
            "acknowledged": verdict.acknowledged,
            "found": verdict.found,
            "lost": verdict.lost,
            "doubled": verdict.doubled,
        },
        "check": {
            "clean": all(check.clean for check in checks),
            "rows": max(check.rows for check in checks),
        },
        "shadow": {"compared": shadow.total.compared, "match_rate": shadow.total.match_rate},
        "switches": [_switch(each, history.requests) for each in travelled.switches],
        "latency_ms": _latencies(history.requests, travelled.stages),
        "seconds": round(seconds, 1),
        "timeline": timeline(history.requests, travelled.stages, _WINDOW_SECONDS),
        "failures": sorted({f"{request.name}: {request.error}" for request in failed})[:20]
        + verdict.examples,
    }


def succeeded(report: Mapping[str, Any]) -> bool:
    """Whether the demo kept its promises: no failed request, no lost or doubled write, a clean check."""
    return bool(
        report["requests"]["total"]
        and not report["requests"]["failed"]
        and report["writes"]["acknowledged"]
        and report["writes"]["found"] == report["writes"]["acknowledged"]
        and not report["writes"]["doubled"]
        and report["check"]["clean"]
        and report["shadow"]["compared"]
    )


def looked_up(writes: Sequence[Write], databases: Databases, owner: str) -> Verdict:
    """Every acknowledged write, on the side that owns its table: ``owner`` has the saved searches, the
    monolith the resources, and the service a copy of those."""
    saved = [write for write in writes if write.table == "saved_searches"]
    resources = [write for write in writes if write.table == "resources"]
    owned, followed = lookup.resources(databases)
    verdicts = [judge(saved, lookup.saved_searches(databases, owner)), judge(resources, owned)]
    copies = judge(resources, followed)
    return Verdict(
        acknowledged=sum(each.acknowledged for each in verdicts),
        found=sum(each.found for each in verdicts) - copies.lost,
        lost=sum(each.lost for each in verdicts) + copies.lost,
        doubled=sum(each.doubled for each in [*verdicts, copies]),
        examples=[example for each in [*verdicts, copies] for example in each.examples],
    )


def _switch(switch: Switched, requests: Sequence[Request]) -> dict[str, Any]:
    """How long the phase's writes that met the switch took, and how many of them failed.

    A switch may be over before anybody writes; its pause is then how long a write would have been held.
    """
    met = [
        request
        for request in requests
        if request.at <= switch.ended
        and request.at + request.ms / 1000 >= switch.began
        and request.name.split()[0] in _WRITE_METHODS
        and "/search/saved" in request.name
    ]
    pauses = [request.ms for request in met] or [switch.held * 1000]
    return {
        "to": switch.to,
        "pause_ms_p99": percentiles(pauses)["p99"],
        "errors": sum(request.error is not None for request in met),
        "writes": len(met),
    }


def _latencies(
    requests: Sequence[Request], stages: Sequence[tuple[float, str]]
) -> dict[str, dict[str, float]]:
    by_stage: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        by_stage[stage_at(request.at, stages)].append(request.ms)
    return {stage: percentiles(ms) for stage, ms in by_stage.items()}
