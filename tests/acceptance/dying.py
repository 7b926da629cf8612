"""A controller that dies without a word after a given step of the switch."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import update

from migration.control import Control
from migration.demo.environment import PHASE
from migration.procedure import StepDone
from migration.schema.tables import leases
from migration.switch import Switch
from migration.transitions import Controller
from migration.wiring import Wiring


def switch_and_die(plan: Path, move: str, number: int, how: Mapping[str, int]) -> None:
    """Call ``advance``, ``rollback`` or ``ramp`` as the command does, and get killed after the step.

    Never returns. ``how`` are the move's own arguments.
    """

    def observe(step: StepDone) -> None:
        if (step.kind, step.number) == (Switch.kind, number):
            os.kill(os.getpid(), signal.SIGKILL)

    wiring = Wiring.load(plan)
    controller = Controller(
        wiring.plan, wiring.control, wiring.replication, recheck=wiring.recheck, observer=observe
    )
    getattr(controller, move)(PHASE, **how)


def killed_after(plan: Path, move: str, number: int, **how: int) -> int | None:
    """Let a process of its own do so; its id once it is dead, None when it did not come to be killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # saves each of them the imports
    process = context.Process(target=switch_and_die, args=(plan, move, number, how))
    process.start()
    process.join()
    return process.pid if process.exitcode == -signal.SIGKILL else None


def kill_after(plan: Path, move: str, number: int, **how: int) -> int:
    """As ``killed_after``, of a switch that must come so far."""
    pid = killed_after(plan, move, number, **how)
    assert pid is not None
    return pid


def let_lease_run_out(control: Control, pid: int) -> None:
    """As if the dead controller had held its lease for as long as it runs."""
    with control.write() as connection:
        connection.execute(update(leases).where(leases.c.holder.contains(f":{pid}:")).values(expires_at=1.0))
