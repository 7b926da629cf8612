"""A controller that dies without a word after a given step of the switch."""

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from migration.demo.environment import PHASE
from migration.procedure import StepDone
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


def killed_after(plan: Path, move: str, number: int, **how: int) -> bool:
    """Let a process of its own do so; whether it came to be killed, once it is dead."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # saves each of them the imports
    process = context.Process(target=switch_and_die, args=(plan, move, number, how))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def kill_after(plan: Path, move: str, number: int, **how: int) -> None:
    """As ``killed_after``, of a switch that must come so far."""
    assert killed_after(plan, move, number, **how)
