"""The loop of ``serve`` and ``relay`` that ends what dead controllers left behind."""

import logging
import os
import socket
import threading
import time

from migration.journal import Run
from migration.procedure import Procedure
from migration.reconcile import TICK_SECONDS, Reconciler
from migration.wiring import Wiring
from migration.workers import ControlWorkers

STRAIGHTEN_SECONDS = 10.0
"""How often the guards are compared with the control database: each look connects to every phase's data."""

_log = logging.getLogger(__name__)


def reconcile(wiring: Wiring, ending: threading.Event) -> None:
    """End what dead controllers left behind, and now and then look at the guards and for dead workers of this
    host, until ``ending`` is set."""

    def resume(run: Run) -> Procedure:
        return wiring.controller.resume(run)  # by the plan of that moment

    reconciler = Reconciler(wiring.control, resume)
    straightened = time.monotonic()
    while not ending.wait(TICK_SECONDS):
        try:
            reconciler.tick()
            if time.monotonic() - straightened >= STRAIGHTEN_SECONDS:
                straightened = time.monotonic()
                ControlWorkers(wiring.control).bury(socket.gethostname(), _lives)
                reconciler.straighten(wiring.controller.replication)
        except Exception as error:  # noqa: BLE001 - the loop outlives any outage of a database
            _log.warning("cannot look for interrupted runs: %s", error)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
