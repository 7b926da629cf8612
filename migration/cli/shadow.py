"""``strangler shadow``: what shadow traffic shows of a phase."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from facade.replay import Pace
from migration.cli.bars import bars
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile, Since
from migration.cli.output import out, print_json
from migration.cli.session import opened, stopped_by_signal
from migration.earlier import earlier_run
from migration.errors import EvidenceError
from migration.evidence import shadow_summary
from migration.moments import is_period, moment_of, period_of
from migration.plan import Phase
from migration.replaying import Recording, Replayed, header_fields
from migration.replaying import replay as run_replay
from migration.report import render_shadow
from migration.report.changes import Changes, changes
from migration.report.page import several
from migration.report.screen import changes_table, differences_table, shadow_table
from migration.report.shadow import narrowed, unmatched_rules
from migration.report.verdict import KINDS, Verdict, judge, next_steps
from migration.summary import ShadowSummary, View
from migration.wiring import Wiring


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shadow")(shadow)


def shadow(
    phase: PhaseName,
    since: Since = None,
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Say what became better or worse: RUN is a saved --json, or an earlier period as 2h..1h.",
        ),
    ] = None,
    route: Annotated[
        list[str] | None, typer.Option(help="Only routes whose name has this in it. May be repeated.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Only differences at places that have this in them. May be repeated."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help=f"Only differences of this kind: {', '.join(KINDS)}. May be repeated."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Ask both sides the reads of a HAR file or an access log, and report on these alone.",
        ),
    ] = None,
    rate: Annotated[float, typer.Option(min=0.1, help="With --replay: requests a second at most.")] = 50.0,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="With --replay: requests at a time at each side, at most.")
    ] = 4,
    limit: Annotated[
        int | None, typer.Option(min=1, help="With --replay: only so many of the requests.")
    ] = None,
    headers: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --replay: header fields for each request, one a line."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page here.")] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Compare what both sides answered to the same reads, since the phase entered the stage shadow."""
    view = View(tuple(route or ()), tuple(field or ()), tuple(kind or ()))
    if unknown := set(view.kinds) - KINDS.keys():
        raise typer.BadParameter(f"There is no kind {min(unknown)!r}. There are: {', '.join(KINDS)}.")
    if replay is not None and since is not None:
        raise typer.BadParameter("--since is about live traffic, --replay about a file; leave one out.")
    with opened(plan) as wiring:
        section = wiring.plan.phase(phase)
        _refuse_strange_routes(section, view)
        skipped: dict[str, int] = {}
        if replay is None:
            summary = _live(wiring, section, since, compare, view)
        else:
            recording = Recording(replay, limit, () if headers is None else header_fields(headers))
            replayed = _replayed(wiring, phase, recording, Pace(rate, concurrency), view, quiet=json)
            summary, skipped = replayed.summary, replayed.skipped
        changed = None
        if compare is not None:
            before = earlier_run(wiring.control, phase, compare, summary.until, view)
            changed = changes(before, summary, compare)
    verdict = judge(summary.total, section.gates)
    if html is not None:
        page = render_shadow(summary, section.shadow.rules(), section.gates, changed)
        html.write_text(page, encoding="utf-8")
    if json:
        print_json(
            {
                "verdict": verdict,
                "summary": _plain(summary),
                "changes": None if changed is None else asdict(changed),
                "skipped": skipped,
                "html": None if html is None else str(html),
            }
        )
        return
    _show(summary, section, verdict, changed)
    for reason, number in sorted(skipped.items()):
        out.print(f"{several(number, 'recorded request')} not asked: {reason}.")
    if html is not None:
        out.print(f"The page is in [bold]{html}[/]")


def _live(
    wiring: Wiring, section: Phase, since: str | None, compare: str | None, view: View
) -> ShadowSummary:
    """What live traffic has shown; by default since the phase entered shadow, or the earlier period ended."""
    control = wiring.control
    begin = control.phase(section.name).evidence_since
    with control.read() as connection:
        now = control.now(connection)
    if since is not None:
        begin = moment_of(since, now)
    elif compare is not None and is_period(compare):
        _, begin = period_of(compare, now)
    return shadow_summary(control, section.name, begin, view=view)


def _replayed(
    wiring: Wiring, phase: str, recording: Recording, pace: Pace, view: View, *, quiet: bool
) -> Replayed:
    """What a recording has shown; Ctrl-C ends it early, with what was compared until then."""
    with bars(quiet) as shown, stopped_by_signal() as stopped:
        return run_replay(
            wiring.plan,
            phase,
            recording,
            pace,
            view,
            lambda done, total: shown.show(recording.file.name, done, total),
            stopped.is_set,
        )


def _refuse_strange_routes(section: Phase, view: View) -> None:
    if any(":path}" in each.path for each in section.routes) or any(
        route.group_by for route in section.shadow.routes.values()
    ):
        return  # their groups get their names from the requests
    names = [each.name for each in section.routes]
    for asked in view.routes:
        if not any(View(routes=(asked,)).has_route(name) for name in names):
            raise EvidenceError(
                f"no route of phase {section.name!r} has {asked!r} in its name. It has: {', '.join(names)}."
            )


def _show(summary: ShadowSummary, section: Phase, verdict: Verdict, changed: Changes | None) -> None:
    out.print(shadow_table(summary), soft_wrap=False)
    found = differences_table(summary)
    if found is not None:
        out.print(found, soft_wrap=False)
    if changed is not None:
        out.print(changes_table(changed), soft_wrap=False)
        out.print(changed.sentence)
    out.print(" ".join(filter(None, (verdict.sentence, verdict.gate, narrowed(summary.view)))))
    out.print("[bold]Next[/]")
    for step in next_steps(summary, unmatched_rules(summary, section.shadow.rules()), section.gates):
        out.print(f"  - {step.text} {step.command}".rstrip(), markup=False)


def _plain(summary: ShadowSummary) -> dict[str, Any]:
    """The summary with the rates that are computed from its counts."""
    document: dict[str, Any] = asdict(summary)
    for route, values in zip(
        (summary.total, *summary.routes), (document["total"], *document["routes"]), strict=True
    ):
        values.update(compared=route.compared, match_rate=route.match_rate, interval=route.interval)
    return document
