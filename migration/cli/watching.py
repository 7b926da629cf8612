"""``strangler status``: where the migration stands."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from dual_write.errors import DataError
from dual_write.replication import Replication
from flags.percent import format_percent
from migration.cli.failure import describe
from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.errors import MigrationError
from migration.gate_facts import Verdict
from migration.observations import Heartbeat
from migration.ramp_steps import State
from migration.stages import Stage
from migration.status import PhaseStatus, Status, read_status
from migration.strangled import sparkline
from migration.traffic import Slot
from migration.wiring import Wiring

_MARKS = {
    Verdict.PASS: "[green]open[/]  ",
    Verdict.FAIL: "[red]closed[/]",
    Verdict.INCONCLUSIVE: "[yellow]not yet[/]",
}
_REFRESH_SECONDS = 1.0
_SILENT_SECONDS = 10.0
_LONG_SECONDS = 5.0
_SHOWN_PARKED = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Keep showing it until Ctrl-C.")] = False,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Show every phase: stage, percentages, lag, match rate, gates; and the workers."""
    with opened(plan) as wiring, ExitStack() as stack:
        replications = _replications(wiring, stack)
        if json:
            print_json(read_status(wiring.plan, wiring.control, replications).to_json())
            return
        if not watch:
            out.print(_page(read_status(wiring.plan, wiring.control, replications)), soft_wrap=False)
            return
        _watch(lambda: _page(read_status(wiring.plan, wiring.control, replications)))


def _watch(page: Callable[[], Group]) -> None:
    """Keep showing it; while the control database does not answer, what was last known, and that."""
    shown = Group()
    with Live(console=out, auto_refresh=False, screen=out.is_terminal, vertical_overflow="crop") as live:
        while True:
            try:
                shown = page()
                live.update(shown, refresh=True)
            except (MigrationError, SQLAlchemyError) as error:
                said = escape(describe(error))
                silent = f"[red]the control database does not answer[/]: {said}"
                live.update(Group(silent, shown), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _replications(wiring: Wiring, stack: ExitStack) -> dict[str, Replication]:
    """The data of every phase that can be reached; the gates of the others say that it cannot."""
    found: dict[str, Replication] = {}
    for phase in wiring.plan.phases:
        try:
            replication = wiring.standing(phase.name)
        except DataError:
            continue
        stack.callback(replication.dispose)
        found[phase.name] = replication
    return found


def _page(status: Status) -> Group:
    table = Table(title=f"Migration at revision {status.revision}", title_justify="left", header_style="bold")
    for column in ("phase", "stage", "writer", "reads", "lag", "match", "last check"):
        table.add_column(column)
    for phase in status.phases:
        table.add_row(*_row(phase))
    return Group(*_strangled(status), table, *_walks(status), *_gates(status), *_workers(status))


def _strangled(status: Status) -> Iterator[str]:
    """How far the whole migration has come, and how over the last hour and the last week."""
    now = status.strangled
    asked = f"{now.requests} requests in the last 5 minutes"
    share = (
        "no request in the last 5 minutes" if now.share is None else f"[bold]{now.share:.0%}[/] of {asked}"
    )
    yield f"Strangled: {share}; {len(now.completed)} of {now.phases} phases complete"
    for title, slots in (("last hour", now.minutes), ("last week", _fewer(now.hours))):
        if any(slot.requests for slot in slots):
            yield f"  {title} [green]{sparkline(slots)}[/]"


def _fewer(slots: Sequence[Slot], at_once: int = 3) -> Sequence[Slot]:
    """Several slots as one, so that a week fits into a line."""
    groups = [slots[start : start + at_once] for start in range(0, len(slots), at_once)]
    return [
        Slot(group[0].at, sum(each.requests for each in group), sum(each.service for each in group))
        for group in groups
    ]


def _walks(status: Status) -> Iterator[str]:
    for phase in status.phases:
        walk = phase.walk
        if walk is None or walk.outcome is not None or walk.step is None:
            continue
        left = "" if walk.alive else "; nobody is at it: `--run` goes on"
        why = f": {escape(walk.reason)}" if walk.reason and not walk.alive else ""
        yield f"  {phase.name}: runbook at step [bold]{walk.step}[/], {walk.state}{why}{left}"


def _row(phase: PhaseStatus) -> tuple[str, ...]:
    flowing = None if phase.stage in {Stage.OFF, Stage.COMPLETE} else phase.writer.other
    lag = ", ".join(
        _lag(beat) for beat in phase.replication if beat.to is flowing or beat.age_seconds < _SILENT_SECONDS
    )
    match = "–" if phase.match.rate is None else f"{phase.match.rate:.2%} of {phase.match.compared}"
    check = "–"
    if phase.check is not None:
        verdict = "[green]clean[/]" if phase.check.clean else f"[red]{phase.check.findings} findings[/]"
        check = f"{verdict}, {phase.check_age_seconds:.0f} s ago"
    stage = f"[bold]{phase.stage}[/]" + (" [yellow](writes held)[/]" if phase.held else "")
    share = format_percent(phase.shares["writes"])
    writers = f"service {share} %, monolith the rest" if phase.split else phase.writer
    writer = f"{writers} (epoch {phase.epoch})"
    reads = f"{format_percent(phase.shares['reads'])} %"
    return phase.name, stage, writer, reads, lag or "–", match, check


def _lag(beat: Heartbeat) -> str:
    if beat.age_seconds > _SILENT_SECONDS:
        return f"[red]→ {beat.to}: no sign of life for {beat.age_seconds:.0f} s[/]"
    held = beat.lag.horizon_seconds
    horizon = f", behind a transaction {held:.0f} s old" if held > _LONG_SECONDS else ""
    return f"{beat.lag.changes} → {beat.to} ({beat.lag.seconds:.1f} s{horizon})"


def _gates(status: Status) -> Iterator[str]:
    for phase in status.phases:
        if phase.interrupted:
            yield f"[yellow]{phase.name}: {phase.interrupted} was interrupted and is being ended[/]"
        if phase.taken_back:
            yield f"  {phase.name}: [red]reads were taken back[/]: {escape(phase.taken_back)}"
        if phase.steps is not None and phase.steps.state is not State.DONE:
            yield f"  {phase.name}: steps are {phase.steps.state}: {escape(phase.steps.said)}"
        for drift in phase.drift:
            waits = "[red]drift[/], its changes wait" if drift.blocks else "[yellow]drift[/]"
            yield f"  {phase.name}: {waits}: {escape(drift.text)}"
        for entry in phase.parked[:_SHOWN_PARKED]:
            key = escape(f"{entry.table} {entry.key}: {entry.error}")
            yield f"  {phase.name}: [red]parked[/] after {entry.attempts} tries: {key}"
        for gate in phase.gates:
            mark = _MARKS[gate.verdict]
            why = escape(f"{gate.name}: {gate.reason} {gate.remedy}".rstrip())
            yield f"  {phase.name} → {phase.next}: {mark} {why}"


def _workers(status: Status) -> Iterator[str]:
    for live in status.workers:
        degraded = f" [yellow]degraded: {escape(live.status.degraded)}[/]" if live.status.degraded else ""
        yield f"  worker {live.status.worker} serves revision {live.status.revision}{degraded}"
    if status.flags is not None:
        if status.flags.degraded is not None:
            yield f"  flags are [yellow]degraded: {escape(status.flags.degraded)}[/]"
        if status.flags.untold:
            yield f"  Unleash is not told yet of {', '.join(status.flags.untold)}"
    if not status.workers:
        yield "  no worker is serving: start `strangler serve`"
