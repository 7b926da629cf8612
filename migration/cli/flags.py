"""``strangler flags``: the percentages, by hand."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from flags.context import Context
from flags.errors import FlagError
from flags.percent import format_percent, parse_percent
from flags.unleash_mirror import kept_in_unleash
from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import out, print_json, print_table
from migration.cli.session import opened
from migration.errors import WorkersLate
from migration.flag_desk import FlagDesk
from migration.wiring import Wiring
from migration.workers import ControlWorkers, ramping

app = typer.Typer(help="The percentages: list, set, kill, ask, import, export.", no_args_is_help=True)


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
    followed = wiring.plan.flags.unleash is not None
    rows = [
        {
            "name": flag.name,
            "enabled": flag.feature.enabled,
            "percent": format_percent(flag.share),
            "age_seconds": round(now - flag.updated_at, 1),
            "updated_by": flag.updated_by,
            "killed": flag.killed,
            "told": flag.told_at is not None if followed and kept_in_unleash(flag.name) else None,
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
                "yes" if r["enabled"] else "killed" if r["killed"] else "no",
                r["percent"],
                f"{r['age_seconds']:.0f} s ago",
                f"{r['updated_by']}{', Unleash is not told yet' if r['told'] is False else ''}",
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


@app.command("ask")
def ask_flag(
    name: FlagName,
    key: Annotated[str | None, typer.Option(help="The routing key: Unleash's userId.")] = None,
    address: Annotated[
        str | None, typer.Option(help="The client's address: Unleash's remoteAddress.")
    ] = None,
    said: Annotated[
        list[str] | None, typer.Option("--property", metavar="NAME=VALUE", help="May be given several times.")
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Whether somebody is in, as the facade decides it now, with the cohorts of the plan. Exit 1 when not."""
    properties = dict(_property(each) for each in said or ())
    with opened(plan) as wiring:
        flags = wiring.flags.snapshot().with_cohorts(ramping(wiring.plan.cohorts, wiring.control.phases()))
    rule = flags.rule(name)
    context = Context(user_id=key, remote_address=address, properties=properties)
    inside = rule.enabled(key, context)
    variant = rule.variant(context) if inside else None
    result = {
        "flag": name,
        "in": inside,
        "percent": format_percent(rule.share),
        "variant": None if variant is None else variant.name,
    }
    if json:
        print_json(result)
    else:
        gets = "" if variant is None else f", and gets the variant {variant.name}"
        out.print(f"{name} lets {'in' if inside else 'nobody like that in'} at {result['percent']} %{gets}")
    if not inside:
        raise typer.Exit(1)


def _property(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise FlagError(f"{text!r} is no property. Write --property NAME=VALUE.")
    return name, value


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
        if (unleash := wiring.plan.flags.unleash) is not None:
            raise FlagError(f"the flags are kept in Unleash at {unleash.url}. Import the document there.")
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
