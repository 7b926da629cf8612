"""``strangler sync``: the rows of a phase."""

import typer

from dual_write.replication import BackfillProgress
from migration.cli.bars import bars
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import FINDING, out, print_json
from migration.cli.session import opened, stopped_by_signal


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sync")(sync)


def sync(phase: PhaseName, plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """Install capture on both sides and copy the rows that were there before. Resumes where it stopped."""
    copied: dict[str, int] = {}
    with opened(plan) as wiring, bars(json) as shown, stopped_by_signal() as stopped:

        def progress(now: BackfillProgress) -> None:
            copied[now.table] = now.rows
            shown.show(now.table, now.rows, now.total)

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
