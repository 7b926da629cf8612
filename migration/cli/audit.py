"""``strangler audit``: who changed what, and whether the log was tampered with."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from migration import audit
from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import FINDING, out, print_json, print_table
from migration.cli.session import opened

app = typer.Typer(help="Who changed what: list, verify.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands, under ``audit``."""
    root.add_typer(app, name="audit")


@app.command("list")
def list_entries(
    limit: Annotated[int, typer.Option(min=1, help="So many at most, newest first.")] = 50,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """The newest changes of stages and flags: when, who, what, from what to what."""
    with opened(plan) as wiring, wiring.control.read() as connection:
        entries = audit.latest(connection, limit)
    if json:
        print_json(entries)
        return
    print_table(
        "Audit log",
        ("at (UTC)", "who", "what", "before", "after"),
        [
            (
                f"{datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S}",
                entry.who,
                entry.what,
                _told(entry.before),
                _told(entry.after),
            )
            for entry in entries
        ],
    )


@app.command("verify")
def verify(
    head: Annotated[
        str | None, typer.Option(help="A head noted earlier, which must still be in the chain.")
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Follow the chain of hashes through the whole log. Exit 1 when it is broken."""
    with opened(plan) as wiring, wiring.control.read() as connection:
        verdict = audit.verify(connection, head)
    if json:
        print_json(verdict)
    elif verdict.broken is None:
        out.print(f"[bold green]whole[/]: {verdict.entries} entries")
        out.print(f"head {verdict.head}")
    else:
        out.print(f"[bold red]broken[/]: {verdict.broken}")
    if verdict.broken is not None:
        raise typer.Exit(FINDING)


def _told(values: object) -> str:
    pairs = values.items() if isinstance(values, dict) else ()
    return ", ".join(f"{key} {value}" for key, value in pairs)
