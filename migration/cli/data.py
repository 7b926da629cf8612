"""``strangler sync`` and ``strangler check``: the rows of a phase."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from dual_write.replication import BackfillProgress
from migration.checking import CheckReport, check_phase
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import FINDING, err, out, print_json, print_table
from migration.cli.session import opened
from migration.repairing import repair_phase

_SHOWN_FINDINGS = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("sync")(sync)
    app.command("check")(check)


class Bars:
    """A progress bar for each table, on standard error so that output stays clean."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, table: str, rows: int, total: int) -> None:
        """Move a table's bar; an estimate that turned out too small grows."""
        if table not in self._tasks:
            self._tasks[table] = self._progress.add_task(table, total=total)
        self._progress.update(self._tasks[table], completed=rows, total=max(rows, total))


@contextmanager
def _bars(quiet: bool) -> Iterator[Bars]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet) as progress:
        yield Bars(progress)


@contextmanager
def _stopped_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that a chunk ends before the command does."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)


def sync(phase: PhaseName, plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """Install capture on both sides and copy the rows that were there before. Resumes where it stopped."""
    copied: dict[str, int] = {}
    with opened(plan) as wiring, _bars(json) as bars, _stopped_by_signal() as stopped:

        def progress(now: BackfillProgress) -> None:
            copied[now.table] = now.rows
            bars.show(now.table, now.rows, now.total)

        complete = wiring.controller.sync(phase, progress, stopped.is_set)
        stage = wiring.control.phase(phase).stage
    if json:
        print_json({"phase": phase, "stage": stage, "complete": complete, "rows": copied})
    elif complete:
        out.print(f"[bold]{phase}[/]: every table is copied; stage [bold]{stage}[/]")
    else:
        out.print(f"[bold]{phase}[/]: stopped; run `strangler sync {phase}` again to go on from there")
    if not complete:
        raise typer.Exit(FINDING)


def check(
    phase: PhaseName,
    repair: Annotated[bool, typer.Option("--repair", help="Plan how to mend what differs.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="With --repair: mend it, and check again.")] = False,
    max_deletes: Annotated[int, typer.Option(help="With --repair: delete no more rows than this.")] = 100,
    table: Annotated[str | None, typer.Option(help="This table alone, by its name on either side.")] = None,
    limit: Annotated[int | None, typer.Option(help="Stop after so many findings.")] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Compare both sides while they are written to. Exit 1 when they differ."""
    if apply and not repair:
        raise typer.BadParameter("--apply says to carry out a --repair; give both.")
    with opened(plan) as wiring:
        with _bars(json) as bars:
            report = check_phase(wiring, phase, progress=bars.show, table=table, limit=limit)
        mended = None
        if repair and report.findings:
            mended = repair_phase(wiring, report, apply=apply, max_deletes=max_deletes)
            if apply:
                report = check_phase(wiring, phase, table=table, limit=limit)
    if json:
        print_json({**report.to_json(), "repair": mended})
    else:
        _show(report)
        if mended is not None:
            _show_repair(mended, applied=apply)
    if not report.clean:
        raise typer.Exit(FINDING)


def _show(report: CheckReport) -> None:
    print_table(
        f"Check of {report.phase}",
        ("table", "to", "rows", "findings", "undecided"),
        [
            (f"{each.source} → {each.target}", to, each.rows, len(each.findings), len(each.undecided))
            for to, result in report.results
            for each in result.tables
        ],
    )
    for finding in report.findings[:_SHOWN_FINDINGS]:
        columns = ", ".join(finding.columns)
        out.print(f"  {finding.table} {list(finding.key)}: {finding.kind} {columns}".rstrip(), markup=False)
    if len(report.findings) > _SHOWN_FINDINGS:
        out.print(f"  … and {len(report.findings) - _SHOWN_FINDINGS} more; --json lists them all")
    for _, result in report.results:
        out.print(result.covers)
    verdict = "[bold green]clean[/]" if report.clean else "[bold red]not clean[/]"
    out.print(f"{verdict}: {report.rows} rows in {report.seconds:.1f} s")


def _show_repair(mended: Mapping[str, Any], *, applied: bool) -> None:
    for statement in mended["statements"][:_SHOWN_FINDINGS]:
        out.print(f"  {statement}", markup=False)
    if (left := len(mended["statements"]) - _SHOWN_FINDINGS) > 0:
        out.print(f"  … and {left} more; --json lists them all")
    if not applied:
        out.print(f"{len(mended['statements'])} repairs are planned, and nothing was changed.")
        out.print("Carry them out with --repair --apply.")
        return
    out.print(f"{mended['applied']} repairs applied.")
    if mended["skipped"]:
        out.print(f"{mended['skipped']} were skipped, because their row had changed meanwhile.")
    for failure in mended["failed"]:
        out.print(f"  refused {failure}", style="red", markup=False)
    for file in mended["undo"]:
        out.print(f"To take them back: {file}")
