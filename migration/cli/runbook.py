"""``runbook``: a phase's runbook, to read or to walk."""

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.runbook_page import page
from migration.walk import Outlook
from migration.walking import look_ahead, walk_phase


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("runbook")(runbook)


def runbook(
    phase: PhaseName,
    run: Annotated[bool, typer.Option("--run", help="Walk the steps, on from where it was stopped.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what --run would do now, and do nothing.")
    ] = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="STEP", help="With --run: vouch that this manual step is done.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for closed gates.")] = 600.0,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Print the phase's runbook as Markdown with today's values, or walk it with --run."""
    if confirm is not None and not run:
        raise typer.BadParameter("a step is confirmed to a run: add --run.", param_hint="--confirm")
    with opened(plan) as wiring:
        if dry_run:
            _print_outlook(look_ahead(wiring, phase), json=json)
            return
        if run:
            tell: Callable[[str], None] = (lambda _: None) if json else _tell
            asks = not json and sys.stdin.isatty()
            walk_phase(wiring, phase, tell=tell, ask=_ask if asks else None, patience=wait, confirmed=confirm)
            stage = wiring.control.phase(phase).stage
            if json:
                print_json({"phase": phase, "stage": stage, "finished": True})
            else:
                out.print(f"[bold]{phase}[/]: {stage}; every step of the runbook is done")
            return
        markdown, document = page(wiring, phase)
    if json:
        print_json(document)
    else:
        typer.echo(markdown)


def _tell(text: str) -> None:
    out.print(text, markup=False)


def _ask(what: str, command: str) -> bool:
    out.print(f"{what}\n  To say so later: {command}", markup=False)
    return typer.confirm("Is it done?")


def _print_outlook(lines: Sequence[Outlook], *, json: bool) -> None:
    if json:
        print_json({"steps": [_outlook(line) for line in lines]})
        return
    for number, line in enumerate(lines, 1):
        said = "" if line.answer is None else f": {line.answer.event} {line.answer.text}".rstrip()
        out.print(
            f"{number}/{len(lines)} {line.step.name} ({line.step.kind}): {line.state}{said}", markup=False
        )
        if line.answer is not None and line.answer.error is not None:
            out.print(str(line.answer.error), markup=False)


def _outlook(line: Outlook) -> dict[str, object]:
    told: dict[str, object] = {"name": line.step.name, "kind": line.step.kind, "state": line.state}
    if line.answer is not None:
        error = line.answer.error
        told |= {"precheck": line.answer.event, "reason": line.answer.text or (str(error) if error else "")}
    return told
