"""``strangler guard``: what took reads back by itself, on what evidence, and that somebody has looked."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from flags.percent import format_percent
from migration.actor import this_actor
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import FINDING, out, print_json, print_table
from migration.cli.session import opened
from migration.ramp_steps import read_steps
from migration.ramp_verdict import QUANTILES
from migration.significance import quantile
from migration.takebacks import Takeback, Takebacks

app = typer.Typer(help="What takes reads back by itself: show, acknowledge.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands, under ``guard``."""
    root.add_typer(app, name="guard")


@app.command("show")
def show(phase: PhaseName, plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """What the guard took back of a phase, why, and how far its steps are. Exit 1 while one waits for you."""
    with opened(plan) as wiring:
        name = wiring.plan.phase(phase).name
        takebacks = Takebacks(wiring.control).of(name)
        with wiring.control.read() as connection:
            stepped = read_steps(connection, name)
        watched = wiring.plan.phase(phase).guard.enabled
    waiting = [each for each in takebacks if each.acknowledged_at is None]
    if json:
        print_json({"phase": name, "enabled": watched, "steps": stepped, "takebacks": takebacks})
    else:
        if not watched:
            out.print(f"[yellow]{name} is not watched: [phases.guard] enabled = false[/]")
        if stepped is not None:
            out.print(f"{name}: steps are {stepped.state}: {stepped.said}", markup=False)
        for each in takebacks:
            _tell(each)
        if not takebacks:
            out.print(f"Nothing of {name} was ever taken back by the guard.")
    if waiting:
        raise typer.Exit(FINDING)


@app.command("acknowledge")
def acknowledge(
    phase: PhaseName,
    note: Annotated[str, typer.Option(help="What it was, for the audit log.")] = "",
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Say that you have looked: reads may be raised again, by hand or with `strangler ramp PHASE --steps`."""
    with opened(plan) as wiring:
        name = wiring.plan.phase(phase).name
        takeback = Takebacks(wiring.control).acknowledge(name, this_actor(), note)
    if json:
        print_json(takeback)
    else:
        out.print(f"{name}: acknowledged by {takeback.acknowledged_by}; reads may be raised again")


def _tell(takeback: Takeback) -> None:
    at = datetime.fromtimestamp(takeback.at, UTC)
    looked = (
        "nobody has acknowledged it"
        if takeback.acknowledged_at is None
        else f"acknowledged by {takeback.acknowledged_by}"
    )
    share = format_percent(takeback.share)
    out.print(f"{at:%Y-%m-%d %H:%M:%S} UTC: {share} % of the reads were taken back; {looked}", markup=False)
    out.print(f"  {takeback.test}: {takeback.reason}", markup=False)
    if takeback.note:
        out.print(f"  note: {takeback.note}", markup=False)
    if takeback.acknowledged_at is None and takeback.evidence is not None:
        columns = ("seconds before", "service failed", "monolith failed", "p50 ms", "p75 ms")
        print_table("Evidence", columns, [_row(window, both) for window, both in takeback.evidence.items()])


def _row(window: str, sides: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    failed = [f"{sides[side]['failed']} of {sides[side]['answered']}" for side in ("service", "monolith")]
    buckets = [
        {float(bound): number for bound, number in sides[side]["milliseconds"].items()}
        for side in ("service", "monolith")
    ]
    paces = [" against ".join(f"{quantile(each, share):.3g}" for each in buckets) for share in QUANTILES]
    return window, *failed, *paces
