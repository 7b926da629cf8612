"""``strangler serve``: the parent with its admin port and reconciler, and what each worker is built from."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn

from facade import server
from facade.admin import Readiness, admin_app
from facade.lifespan import Application, application
from facade.worker import Worker
from migration.control import Control
from migration.evidence import ControlEvidence
from migration.plan import Plan
from migration.reconcile import TICK_SECONDS, Reconciler
from migration.wiring import Wiring, facade_config
from migration.workers import ControlSnapshots, ControlWorkers

# How a spawned worker learns what its parent was started with.
PLAN_VARIABLE = "STRANGLER_PLAN"
METRICS_VARIABLE = "STRANGLER_METRICS_DIRECTORY"
ACCESS_LOG_VARIABLE = "STRANGLER_ACCESS_LOG"

STRAIGHTEN_SECONDS = 10.0
"""How often the guards are compared with the control database: each look connects to every phase's data."""

_log = logging.getLogger(__name__)


def worker_application() -> Application:
    """The ASGI application of one worker process, built from its environment."""
    plan = Plan.load(os.environ[PLAN_VARIABLE])
    metrics = Path(os.environ[METRICS_VARIABLE])

    def build() -> Worker:
        control = Control.attach(plan.control.database_url)
        source = ControlSnapshots(
            control, plan.route_table(), [phase.name for phase in plan.phases], plan.flags.precision
        )
        config = facade_config(plan, metrics, access_log=bool(os.environ.get(ACCESS_LOG_VARIABLE)))
        return Worker(config, source, ControlWorkers(control), ControlEvidence(control))

    return application(build)


def serve(
    wiring: Wiring,
    workers: int,
    metrics: Path,
    *,
    access_log: bool,
    on_ready: Callable[[tuple[str, int]], None],
) -> None:
    """Serve the plan until SIGTERM. ``metrics`` is an empty directory for the workers' counters. Blocks.

    Raises AddressError when an address is taken, and ControlError when the control database cannot be opened.
    """
    plan = wiring.plan
    wiring.control.revision()  # a control database that cannot be opened is told now, not by every worker
    os.environ[PLAN_VARIABLE] = str(plan.file)
    os.environ[METRICS_VARIABLE] = str(metrics)
    if access_log:
        os.environ[ACCESS_LOG_VARIABLE] = "1"
    admin = server.bind(plan.facade.admin)
    app = admin_app(lambda: readiness(wiring.control, workers), str(metrics), plan.admin_token())

    def serve_admin(ending: threading.Event) -> None:
        serving = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))

        async def until_ending() -> None:
            serves = asyncio.create_task(serving.serve(sockets=[admin]))
            await asyncio.to_thread(ending.wait)
            serving.should_exit = True
            await serves

        asyncio.run(until_ending())

    server.run(
        "migration.serving:worker_application",
        plan.facade.listen,
        workers,
        background=(serve_admin, lambda ending: reconcile(wiring, ending)),
        on_ready=on_ready,
    )


def readiness(control: Control, workers: int) -> Readiness:
    """Ready when every worker reports; an unreachable control database makes it degraded, not unready."""
    try:
        live = ControlWorkers(control).live_workers()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the workers serve on (I6)
        return Readiness(
            ready=True, workers=workers, degraded=f"the control database does not answer: {error}"
        )
    degraded = next((each.status.degraded for each in live if each.status.degraded), None)
    return Readiness(ready=len(live) >= workers, workers=len(live), degraded=degraded)


def reconcile(wiring: Wiring, ending: threading.Event) -> None:
    """End what dead controllers left behind, and now and then look at the guards, until ``ending`` is set."""
    reconciler = Reconciler(wiring.control, wiring.controller.resume)
    straightened = time.monotonic()
    while not ending.wait(TICK_SECONDS):
        try:
            reconciler.tick()
            if time.monotonic() - straightened >= STRAIGHTEN_SECONDS:
                straightened = time.monotonic()
                reconciler.straighten(wiring.controller.replication)
        except Exception as error:  # noqa: BLE001 - the loop outlives any outage of a database
            _log.warning("cannot look for interrupted runs: %s", error)
