"""``advance``, ``ramp``, ``rollback``, ``complete``: a phase on its way through the stages."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from migration.actor import this_actor
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.errors import StageError
from migration.leftovers import leftovers
from migration.ramp_steps import RampSteps
from migration.transitions import Moved
from migration.wiring import Wiring


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("advance")(advance)
    app.command("ramp")(ramp)
    app.command("rollback")(rollback)
    app.command("complete")(complete)


def advance(phase: PhaseName, plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """Take a phase to its next stage, when the gates are open. Exit 1 while one is closed."""
    with opened(plan) as wiring:
        _report(wiring.controller.advance(phase), json=json)


def ramp(
    phase: PhaseName,
    reads: Annotated[str | None, typer.Option(help="Percent of the reads that the service answers.")] = None,
    writes: Annotated[
        str | None, typer.Option(help="Percent of the routing keys whose writes the service takes.")
    ] = None,
    steps: Annotated[
        bool | None,
        typer.Option(
            "--steps/--pause", help="Raise the reads by the plan's steps, by themselves; or stop that."
        ),
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Set the shares of a phase in the stage ramp. Returns when every live worker serves them.

    A new share of writes takes one fenced switch: clients' writes wait for a moment.
    """
    with opened(plan) as wiring:
        if steps is not None:
            if reads is not None or writes is not None:
                raise StageError("--steps and --pause go without --reads and --writes.")
            _step(wiring, phase, start=steps, json=json)
            return
        moved = wiring.controller.ramp(phase, reads, writes)
        if json:
            print_json({"reads": reads, "writes": writes, **_document(moved)})
            return
        given = (("reads", reads), ("writes", writes))
        shares = " and ".join(f"{share} % of the {kind}" for kind, share in given if share is not None)
        out.print(f"[bold]{phase}[/]: {shares} go to the service (revision {moved.revision}){_pause(moved)}")
        _name_late(moved)


def _step(wiring: Wiring, phase: str, *, start: bool, json: bool) -> None:
    name = wiring.plan.phase(phase).name
    steps = RampSteps(wiring.plan, wiring.control, wiring.flags, this_actor())
    stepped = steps.start(name) if start else steps.pause(name)
    if json:
        print_json(stepped)
    else:
        out.print(f"[bold]{name}[/]: steps are {stepped.state}: {stepped.said}")


def rollback(phase: PhaseName, plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """Go back: reads at once, then writes in one fenced switch. Needs no gate and nobody's approval."""
    with opened(plan) as wiring:
        _report(wiring.controller.rollback(phase), json=json)


def complete(
    phase: PhaseName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force_idle: Annotated[
        str | None,
        typer.Option(metavar="WHY", help="Although the monolith is still asked; the audit log keeps why."),
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """End the way back: the service owns the phase for good. Says what of the monolith can be deleted."""
    if not yes and not json:
        typer.confirm(f"There is no rollback from complete. Complete {phase}?", abort=True)
    with opened(plan) as wiring:
        left = leftovers(wiring.plan, phase)
        moved = wiring.controller.complete(phase, idle_waived=force_idle)
    if json:
        print_json({**_document(moved), "deletable": asdict(left)})
        return
    _report(moved, json=json)
    for line in left.lines():
        out.print(line, markup=False)


def _document(moved: Moved) -> dict[str, object]:
    return {
        "phase": moved.phase,
        "from": moved.source,
        "stage": moved.target,
        "revision": moved.revision,
        "held_ms": None if moved.held_seconds is None else round(moved.held_seconds * 1000, 1),
        "late_workers": moved.late_workers,
        "unheard": moved.unheard,
    }


def _report(moved: Moved, *, json: bool) -> None:
    if json:
        print_json(_document(moved))
        return
    out.print(f"[bold]{moved.phase}[/]: {moved.source} → [bold]{moved.target}[/]{_pause(moved)}")
    _name_late(moved)


def _pause(moved: Moved) -> str:
    return "" if moved.held_seconds is None else f", writes waited {moved.held_seconds * 1000:.0f} ms"


def _name_late(moved: Moved) -> None:
    for worker in moved.late_workers:
        out.print(f"[yellow]worker {worker} does not serve it yet[/]")
    for hook in moved.unheard:
        out.print(f"[yellow]{escape(f'{hook.name}: {hook.reason}')}[/]")
