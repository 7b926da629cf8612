"""``strangler serve`` and ``strangler relay``: the two processes of a migration."""

import logging
import signal
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer

from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import err, print_json
from migration.cli.session import opened
from migration.relaying import relay as carry
from migration.serving import serve as answer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("relay")(relay)


def serve(
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; default: as the plan says.", min=1)
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request as JSON.")] = False,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Run the facade that all clients talk to, until SIGTERM. SIGHUP takes the plan anew."""
    _log_to_stderr()
    with opened(plan) as wiring, tempfile.TemporaryDirectory(prefix="strangler-metrics-") as metrics:
        section = wiring.plan.facade
        count = workers or section.workers

        def ready(address: tuple[str, int]) -> None:
            if json:
                print_json({"listen": f"{address[0]}:{address[1]}", "admin": section.admin, "workers": count})
            else:
                err.print(f"facade on {address[0]}:{address[1]}, {count} workers; admin on {section.admin}")

        answer(wiring, count, Path(metrics), access_log=access_log, on_ready=ready)


def relay(
    phase: Annotated[str | None, typer.Argument(help="This phase alone.", metavar="[PHASE]")] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Carry changes between the two sides, in both directions, until SIGTERM."""
    _log_to_stderr()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    with opened(plan) as wiring:
        phases = [each.name for each in wiring.plan.phases if each.tables]
        if phase is not None:
            phases = [wiring.plan.phase(phase).name]

        def ready() -> None:
            if json:
                print_json({"phases": phases})
            else:
                err.print(f"relay of {', '.join(phases) or 'nothing: no phase has tables'}")

        carry(wiring, phases, ending, ready)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "httpx"):  # httpx would say every look at Unleash
        logging.getLogger(chatty).setLevel(logging.WARNING)
