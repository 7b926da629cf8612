"""``strangler flags``: the percentages, by hand."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from flags.errors import FlagError
from flags.percent import format_percent, parse_percent
from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import out, print_json, print_table
from migration.cli.session import opened
from migration.errors import WorkersLate
from migration.flag_desk import FlagDesk
from migration.wiring import Wiring
from migration.workers import ControlWorkers

app = typer.Typer(help="The percentages: list, set, kill, import, export.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands, under ``flags``."""
    root.add_typer(app, name="flags")


FlagName = Annotated[str, typer.Argument(metavar="FLAG", help="As in search.reads.", show_default=False)]
_PATIENCE_SECONDS = 2.0


@app.command("list")
def list_flags(plan: PlanFile = DEFAULT_PLAN, json: Json = False) -> None:
    """Every flag, the share it lets in, when and by whom it was changed; the control revision and its age."""
    with opened(plan) as wiring:
        stored = wiring.flags.list()
        revision = wiring.control.revision()
    now = time.time()
    rows = [
        {
            "name": flag.name,
            "enabled": flag.feature.enabled,
            "percent": format_percent(flag.share),
            "age_seconds": round(now - flag.updated_at, 1),
            "updated_by": flag.updated_by,
        }
        for flag in stored
    ]
    if json:
        print_json({"revision": revision, "flags": rows})
        return
    print_table(
        f"Flags at revision {revision}",
        ("flag", "on", "%", "changed", "by"),
        [
            (
                r["name"],
                "yes" if r["enabled"] else "no",
                r["percent"],
                f"{r['age_seconds']:.0f} s ago",
                r["updated_by"],
            )
            for r in rows
        ],
    )


@app.command("set")
def set_flag(
    name: FlagName,
    percent: Annotated[str, typer.Argument(help="0 to 100.", show_default=False)],
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Let a share of the routing keys in. Returns when every live worker serves it."""
    with opened(plan) as wiring:
        share = parse_percent(percent, wiring.plan.flags.precision)
        wiring.controller.require_allowed(name, share)
        revision = FlagDesk(wiring.control, wiring.flags).set_share(name, share)
        _report(wiring, {"flag": name, "percent": format_percent(share), "revision": revision}, json=json)


@app.command("kill")
def kill_flag(
    name: Annotated[
        str, typer.Argument(metavar="FLAG|PHASE", help="A flag, or a phase for all of its flags.")
    ],
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Turn a flag off for everybody, now. Needs the control database alone."""
    with opened(plan) as wiring:
        revision = FlagDesk(wiring.control, wiring.flags).kill(name)
        _report(wiring, {"flag": name, "killed": True, "revision": revision}, json=json)


@app.command("export")
def export_flags(plan: PlanFile = DEFAULT_PLAN) -> None:
    """Print all flags as the document that Unleash's client API serves."""
    with opened(plan) as wiring:
        print_json(wiring.flags.export())


@app.command("import")
def import_flags(
    file: Annotated[Path, typer.Argument(help="Such a document, or - for standard input.", allow_dash=True)],
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Create or replace the flags of a document: all of them, or none."""
    try:
        document = orjson.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FlagError(
            f"{file}: line {error.lineno}, column {error.colno}: not JSON: {error.msg}."
        ) from error
    if not isinstance(document, dict):
        raise FlagError(f"{file}: not a feature document: an object with `features` was expected.")
    with opened(plan) as wiring:
        revision = FlagDesk(wiring.control, wiring.flags).import_(document)
        _report(wiring, {"imported": len(document.get("features", ())), "revision": revision}, json=json)


def _report(wiring: Wiring, result: dict[str, Any], *, json: bool) -> None:
    late: tuple[str, ...] = ()
    try:
        ControlWorkers(wiring.control).wait_for_revision(
            result["revision"], time.monotonic() + _PATIENCE_SECONDS
        )
    except WorkersLate as error:
        late = error.workers
    if json:
        print_json({**result, "late_workers": late})
        return
    out.print(", ".join(f"{key} {value}" for key, value in result.items()))
    for worker in late:
        out.print(f"[yellow]worker {worker} does not serve it yet[/]")
