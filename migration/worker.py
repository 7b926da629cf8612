"""What each worker process of ``strangler serve`` is built from, and no more, so that it starts fast."""

import os
from pathlib import Path

from facade.lifespan import Application, application
from facade.worker import Worker
from migration.control import Control
from migration.evidence import ControlEvidence
from migration.facade_plan import facade_config, retentions
from migration.plan import Plan
from migration.progress import ControlProgress
from migration.read_traffic import ControlReads
from migration.traffic import ControlTraffic
from migration.workers import ControlSnapshots, ControlWorkers

WORKER = "migration.worker:worker_application"
"""Where the parent's child finds what it is to run."""

# How a spawned worker learns what its parent was started with.
PLAN_VARIABLE = "STRANGLER_PLAN"
METRICS_VARIABLE = "STRANGLER_METRICS_DIRECTORY"
WORKERS_VARIABLE = "STRANGLER_WORKERS"
ACCESS_LOG_VARIABLE = "STRANGLER_ACCESS_LOG"

KEPT_PLAN = "strangler.toml"
"""The plan to serve by, as the parent keeps it in the directory of METRICS_VARIABLE."""


def worker_application() -> Application:
    """The ASGI application of one worker process, built from its environment."""
    metrics = Path(os.environ[METRICS_VARIABLE])
    plan = Plan.load(os.environ[PLAN_VARIABLE], metrics / KEPT_PLAN)

    def build() -> Worker:
        control = Control.attach(plan.control.database_url)
        source = ControlSnapshots(
            control,
            plan.route_table(),
            [phase.name for phase in plan.phases],
            plan.flags.precision,
            plan.cohorts,
        )
        config = facade_config(
            plan,
            metrics,
            access_log=bool(os.environ.get(ACCESS_LOG_VARIABLE)),
            workers=int(os.environ[WORKERS_VARIABLE]),
        )
        return Worker(
            config,
            source,
            ControlWorkers(control),
            ControlEvidence(control, retentions(plan)),
            ControlProgress(control),
            ControlReads(control),
            ControlTraffic(control),
        )

    return application(build)
