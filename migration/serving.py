"""``strangler serve``: the parent with its admin port and its reconciler."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from facade import server
from facade.admin import Readiness, admin_app
from facade.client_api import client_api
from migration.check_metrics import CheckMetrics
from migration.facade_plan import certificate
from migration.follow_metrics import FollowMetrics
from migration.following import follow, home
from migration.plan import Plan
from migration.ramp_guard import guard
from migration.reconciling import reconcile
from migration.reloading import Reloading
from migration.wiring import Wiring
from migration.worker import (
    ACCESS_LOG_VARIABLE,
    METRICS_VARIABLE,
    PLAN_VARIABLE,
    WORKER,
    WORKERS_VARIABLE,
)
from migration.workers import ControlWorkers

_log = logging.getLogger(__name__)


def serve(
    wiring: Wiring,
    workers: int,
    metrics: Path,
    *,
    access_log: bool,
    on_ready: Callable[[tuple[str, int]], None],
) -> None:
    """Serve the plan until SIGTERM, and take it anew at SIGHUP. Blocks.

    ``metrics`` is an empty directory for what the workers leave and share. Raises AddressError when an
    address is taken, and MigrationError when the control database or a secret cannot be opened.
    """
    plan = wiring.plan
    reloading = Reloading(wiring, metrics)
    reloading.take()
    wiring.control.revision()  # a control database that cannot be opened is told now, not by every worker
    os.environ[PLAN_VARIABLE] = str(plan.file)
    os.environ[METRICS_VARIABLE] = str(metrics)
    os.environ[WORKERS_VARIABLE] = str(workers)
    if access_log:
        os.environ[ACCESS_LOG_VARIABLE] = "1"
    admin = server.bind(plan.facade.admin)
    app = admin_app(
        lambda: readiness(wiring, workers, reloading.refused),
        str(metrics),
        plan.admin_token(),
        lambda: control_metrics(wiring),
    )

    app.include_router(client_api(lambda: served_flags(wiring), plan.admin_token()))

    def serve_admin(ending: threading.Event) -> None:
        serving = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off"))

        async def until_ending() -> None:
            serves = asyncio.create_task(serving.serve(sockets=[admin]))
            await asyncio.to_thread(ending.wait)
            serving.should_exit = True
            await serves

        asyncio.run(until_ending())

    server.run(
        WORKER,
        plan.facade.listen,
        workers,
        background=(
            serve_admin,
            lambda ending: reconcile(wiring, ending),
            lambda ending: follow_unleash(wiring, ending),
            lambda ending: guard(wiring, ending),
        ),
        on_ready=on_ready,
        on_reload=reloading.reload,
        certificate=certificate(plan),
    )


def served_flags(wiring: Wiring) -> tuple[int, Mapping[str, Any]]:
    """The control revision and every flag. A flag that changes between the two looks is told again."""
    revision = wiring.control.revision()
    return revision, wiring.flags.export()


def readiness(wiring: Wiring, workers: int, refused: str | None = None) -> Readiness:
    """Ready when every worker reports; an unreachable control database makes it degraded, not unready.

    ``refused`` is why the plan as it is now is not served by.
    """
    unleash = wiring.plan.flags.unleash
    try:
        live = ControlWorkers(wiring.control).live_workers()
        flags = None if unleash is None else home(wiring.control, unleash.url).degraded
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the workers serve on (I6)
        return Readiness(
            ready=True, workers=workers, degraded=f"the control database does not answer: {error}"
        )
    degraded = next((each.status.degraded for each in live if each.status.degraded), refused or flags)
    return Readiness(ready=len(live) >= workers, workers=len(live), degraded=degraded)


def control_metrics(wiring: Wiring) -> bytes:
    """None while the control database does not answer: the facade's own are told all the same (I6)."""
    plan = wiring.plan
    try:
        checks = CheckMetrics(wiring.control, [phase.name for phase in plan.phases]).exposition()
        if plan.flags.unleash is None:
            return checks
        return checks + FollowMetrics(wiring.control, plan.flags.unleash.url).exposition()
    except SQLAlchemyError as error:
        _log.warning("no metrics of checks and flags: the control database does not answer: %s", error)
        return b""


def follow_unleash(wiring: Wiring, ending: threading.Event) -> None:
    """Keep the flags equal to what the Unleash server of the plan says, if any, until ``ending`` is set."""
    while not ending.is_set():
        plan = wiring.plan

        def over(seconds: float, plan: Plan = plan) -> bool:
            return ending.wait(seconds) or wiring.plan is not plan

        try:
            account = plan.unleash()
            if account is not None:
                follow(wiring.control, account, [phase.name for phase in plan.phases], over)
                continue
        except Exception as error:  # noqa: BLE001 - the flags stay as they are, and the loop tries again (I6)
            _log.warning("cannot follow Unleash: %s", error)
        over(1.0)
