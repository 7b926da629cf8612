"""``strangler demo``: the whole reference migration under live traffic, on this machine."""

import tempfile
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from migration.cli.output import FINDING, err, out
from migration.cli.session import opened
from migration.demo.environment import PHASE, Environment, Size
from migration.demo.history import History
from migration.demo.journey import Journey
from migration.demo.report import assemble, succeeded
from migration.evidence import shadow_summary
from migration.report import render_demo, render_shadow
from migration.report.screen import demo_table


class Engine(StrEnum):
    """What the demo's databases run on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    json: Annotated[Path | None, typer.Option("--json", help="Write the report here as JSON.")] = None,
    html: Annotated[Path, typer.Option(help="Write the reports as pages into this directory.")] = Path(
        "demo-report"
    ),
    database: Annotated[Engine, typer.Option(help="What the databases run on.")] = Engine.SQLITE,
    users: Annotated[int, typer.Option(help="How many people use it meanwhile.", min=1)] = 50,
    resources: Annotated[int, typer.Option(help="How many rows the monolith starts with.", min=100)] = 5000,
    dwell: Annotated[float, typer.Option(help="Seconds that each stage lasts.", min=0.5)] = 6.0,
    keep: Annotated[Path | None, typer.Option(help="Keep databases, plan and logs here.")] = None,
) -> None:
    """Take the reference monolith's search out of it while people use it; exit 0 only if nothing was lost."""
    began = time.monotonic()

    def tell(text: str) -> None:
        err.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {text}")

    with tempfile.TemporaryDirectory(prefix="strangler-demo-") as scratch:
        directory = Path(scratch) if keep is None else keep.absolute()
        directory.mkdir(parents=True, exist_ok=True)
        tell(f"starting monolith, service, facade and relay on {database}")
        with Environment(Path.cwd(), directory, database, Size(resources, users)) as environment:
            with opened(environment.plan_file) as wiring:
                journey = Journey(wiring, tell, dwell)
                tell(f"letting {users} people in at {environment.url}")
                clients = environment.start_clients()
                environment.wait_for_traffic()
                journey.walk()
                tell("asking everybody to leave, and looking every acknowledged write up")
                clients.ask_to_end()
                clients.wait(60)
                environment.wait_for_relay(wiring)
                journey.check()
                shadow = shadow_summary(wiring.control, PHASE, 0.0)
                section = wiring.plan.phase(PHASE)
            report = assemble(
                History.read(environment.history),
                journey.travelled,
                environment.databases,
                journey.checks,
                shadow,
                time.monotonic() - began,
            )
    html.mkdir(parents=True, exist_ok=True)
    (html / "index.html").write_text(render_demo(report), encoding="utf-8")
    (html / "shadow.html").write_text(
        render_shadow(shadow, section.shadow.rules(), section.gates), encoding="utf-8"
    )
    if json is not None:
        json.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    out.print(demo_table(report), soft_wrap=False)
    for failure in report["failures"]:
        out.print(f"  {failure}", style="red", markup=False)
    out.print(
        f"The report is in [bold]{html / 'index.html'}[/], shadow traffic in [bold]{html / 'shadow.html'}[/]"
    )
    if not succeeded(report):
        raise typer.Exit(FINDING)
