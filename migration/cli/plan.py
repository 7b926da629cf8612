"""``strangler init`` and ``strangler doctor``: from a running monolith to a plan that can run."""

from typing import Annotated

import typer
from rich.markup import escape

from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import FINDING, out, print_json, print_table
from migration.doctor import Level, diagnose
from migration.init import write_plan
from migration.plan import Plan

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("doctor")(doctor)


def init(
    openapi: Annotated[str, typer.Option(help="URL of the running monolith's OpenAPI document.")],
    database: Annotated[str, typer.Option(help="SQLAlchemy URL of the monolith's database.")],
    plan: PlanFile = DEFAULT_PLAN,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a plan that is there.")] = False,
    json: Json = False,
) -> None:
    """Write strangler.toml from a running monolith: its routes in phases, with their tables."""
    started = write_plan(openapi, database, plan, force=force)
    if json:
        print_json(
            {
                "plan": str(started.file),
                "phases": [group.name for group in started.groups],
                "unassigned": [table.name for table in started.unassigned],
            }
        )
        return
    out.print(f"Wrote [bold]{started.file}[/]. The phases that its routes suggest:")
    for group in started.groups:
        tables = ", ".join(table.name for table in group.tables) or "none"
        out.print(escape(f"  {group.name}: {len(group.operations)} routes; tables: {tables}"))
    if started.unassigned:
        names = ", ".join(table.name for table in started.unassigned)
        out.print(escape(f"These tables fit none of them: {names}"))
    out.print(
        'Read it and settle what is marked "Decide". Start the new service, with its tables created; '
        "then run [bold]strangler doctor PHASE[/]."
    )


def doctor(
    phase: Annotated[
        str | None, typer.Argument(metavar="[PHASE]", help="This phase alone.", show_default=False)
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Say whether the plan can run: servers, keys, rights, types, triggers. Exit 1 if it cannot."""
    found = diagnose(Plan.load(plan), None if phase is None else [phase])
    failed = any(diagnosis.level is Level.FAIL for diagnosis in found)
    if json:
        print_json({"ok": not failed, "diagnoses": found})
    else:
        rows = [
            (f"[{_STYLES[d.level]}]{d.level}[/]", escape(d.subject), escape(f"{d.text}\n{d.remedy}".strip()))
            for d in found
        ]
        print_table(str(plan), ("", "what", "finding"), rows)
    if failed:
        raise typer.Exit(FINDING)
