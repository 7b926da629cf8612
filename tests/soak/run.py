"""A soak: the reference phase goes back and forth under load, and something breaks at every switch."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from dual_write.errors import DataError
from flags.side import Side
from migration.checking import check_phase
from migration.demo.environment import PHASE, Databases, Environment, Size
from migration.demo.history import History
from migration.demo.report import looked_up
from migration.demo.servers import PostgreSQLServer
from migration.errors import MigrationError
from migration.gate_facts import Step
from migration.journal import CANCELLED, FINISHED, Journal
from migration.procedure import StepDone
from migration.stages import PhaseRecord, Stage
from migration.switch import Switch
from migration.takebacks import Takebacks
from migration.transitions import Controller
from migration.wiring import Wiring
from migration.workers import ControlWorkers
from tests.acceptance.dying import killed_after
from tests.soak.faults import STEPS, Fault, faults
from tests.soak.strays import Strays
from tests.soak.tally import Tally

PATIENCE_SECONDS = 90.0
"""Within which everything comes to rest after a fault."""
LOOK_AGAIN_SECONDS = 0.2
MOST_RUNS = 100_000

Tell = Callable[[str], None]
TROUBLE = (MigrationError, DataError, SQLAlchemyError, OSError)


class Stuck(Exception):  # noqa: N818 - what a soak finds, not a mistake of it
    """Something did not come to rest in time."""


class Soak:
    """One run on two PostgreSQL servers, the monolith's with the control database; a ``with`` block.

    ``tell`` takes a line on each round. Raises ServerUnavailableError where there is no PostgreSQL to kill.
    """

    def __init__(self, checkout: Path, directory: Path, seed: int, size: Size, tell: Tell) -> None:
        self._tally = Tally(seed)
        self._checkout = checkout
        self._directory = directory
        self._size = size
        self._tell = tell
        self._aside: list[threading.Thread] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._servers = {side: stack.enter_context(PostgreSQLServer(killable=True)) for side in Side}
            at_monolith, at_service = self._servers[Side.MONOLITH], self._servers[Side.SERVICE]
            self._databases = Databases(
                at_monolith.create_database(), at_service.create_database(), at_monolith.create_database()
            )
            self._environment = stack.enter_context(
                Environment(self._checkout, self._directory, self._databases, self._size)
            )
            self._wiring = Wiring.load(self._environment.plan_file)
            stack.callback(self._wiring.close)
            self._strays = Strays(self._databases)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._join()
        self._stack.close()

    def run(self, seconds: float) -> Tally:
        """Load and faults for so long, one round at least, and what became of it all."""
        began = time.monotonic()
        clients = self._environment.start_clients()
        self._environment.wait_for_traffic()
        try:
            self._wiring.controller.sync(PHASE, lambda _: None, lambda: False)
            for fault in faults(self._tally.seed):
                self._round(fault)
                if time.monotonic() - began > seconds:
                    break
        except Stuck as error:
            self._tally.wrong.append(str(error))
        clients.terminate(timeout=60)
        self._tally.seconds = time.monotonic() - began
        try:
            self._judge()
        except Stuck as error:
            self._tally.wrong.append(str(error))
        return self._tally

    # --- one round

    def _round(self, fault: Fault) -> None:
        """A switch to the other side, and what befalls it."""
        self._reach_a_start()
        record = self._record()
        self._tell(f"{record.writer} → {record.writer.other}: {fault}")
        self._tally.faults[fault.kind] += 1
        move = "rollback" if record.stage is Stage.LIVE else "advance"
        try:
            if fault.kind == "controller killed":
                killed_after(self._environment.plan_file, move, STEPS.index(fault.step) + 1)
            else:
                getattr(self._controller(fault), move)(PHASE)
        except TROUBLE as error:
            self._tell(f"  {str(error).splitlines()[0]}")
        self._come_to_rest()
        self._look_for_one_writer()
        time.sleep(fault.rest)

    def _controller(self, fault: Fault) -> Controller:
        def observe(done: StepDone) -> None:
            if (done.kind, done.name) == (Switch.kind, fault.step):
                self._strike(fault)

        wiring = self._wiring
        return Controller(
            wiring.plan, wiring.control, wiring.replication, recheck=wiring.recheck, observer=observe
        )

    def _strike(self, fault: Fault) -> None:
        """Some faults take their time, and the switch does not wait for them."""
        environment, strays = self._environment, self._strays
        match fault.kind:
            case "relay killed":
                environment.replace("relay")
            case "worker killed":
                with suppress(ProcessLookupError):
                    os.kill(ControlWorkers(self._wiring.control).live_workers()[0].status.pid, signal.SIGKILL)
            case "monolith's PostgreSQL killed":
                self._meanwhile(self._servers[Side.MONOLITH].crash)
            case "service's PostgreSQL killed":
                self._meanwhile(self._servers[Side.SERVICE].crash)
            case "long transaction":
                writer = self._record().writer
                self._meanwhile(lambda: strays.keep_open(writer, fault.seconds))
            case "stray writes":
                self._meanwhile(lambda: strays.hammer(fault.seconds))
            case "service stands still":
                environment.process("service").send(signal.SIGSTOP)
                self._meanwhile(lambda: self._wake_service(fault.seconds))

    def _wake_service(self, seconds: float) -> None:
        time.sleep(seconds)
        self._environment.process("service").send(signal.SIGCONT)

    def _meanwhile(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act)
        thread.start()
        self._aside.append(thread)

    def _join(self) -> None:
        while self._aside:
            self._aside.pop().join()

    # --- between the rounds

    def _reach_a_start(self) -> None:
        """To the stage ramp, its way ahead open, unless it is live."""

        def there() -> bool:
            controller = self._wiring.controller
            takebacks = Takebacks(self._wiring.control)
            if takebacks.open(PHASE) is not None:  # the guard has seen what was struck
                takebacks.acknowledge(PHASE, "soak", "a fault of its own")
            match self._record().stage:
                case Stage.LIVE:
                    return True
                case Stage.RAMP:
                    if all(verdict.open for verdict in controller.verdicts(PHASE, Step(Stage.LIVE))):
                        return True
                    check_phase(self._wiring, PHASE)
                case _:
                    check_phase(self._wiring, PHASE)
                    controller.advance(PHASE)
            return False

        self._wait(there, "the gates to the next switch do not open")

    def _come_to_rest(self) -> None:
        """Nobody strikes any more, and every run has ended."""
        self._join()
        self._wait(
            lambda: not Journal(self._wiring.control).unfinished(), "an interrupted switch is not ended"
        )

    def _look_for_one_writer(self) -> None:
        """The loser's database refuses strays, the facade holds nothing (I1, I7)."""

        def settled() -> bool:
            record = self._record()
            loser = record.writer.other
            return record.hold is None and self._strays.refused(loser, record.writer, record.epoch)

        self._wait(settled, "the side that does not own the rows takes writes")

    def _wait(self, reached: Callable[[], bool], otherwise: str) -> None:
        """Raises Stuck, with the last trouble, when that is not so in time."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        last = ""
        while True:
            try:
                if reached():
                    return
            except TROUBLE as error:
                last = f": {error}"
            if time.monotonic() > deadline:
                raise Stuck(otherwise + last)
            time.sleep(LOOK_AGAIN_SECONDS)

    def _record(self) -> PhaseRecord:
        return self._wiring.control.phase(PHASE)

    # --- the end

    def _judge(self) -> None:
        """Look every acknowledged write up on the side that owns it, and count what is left over."""
        tally = self._tally
        self._come_to_rest()
        history = History.read(self._environment.history)
        tally.requests = len(history.requests)
        tally.failed = sum(request.error is not None for request in history.requests)
        runs = Journal(self._wiring.control).last(PHASE, Switch.kind, limit=MOST_RUNS)
        tally.switches = sum(run.outcome == FINISHED for run in runs)
        tally.cancelled = sum(run.outcome == CANCELLED for run in runs)
        record = self._record()
        with self._wiring.replicating(PHASE) as replication:
            for to in (record.writer.other, Side.SERVICE):
                if not replication.settle(to, PATIENCE_SECONDS):
                    tally.wrong.append(f"the changes to the {to} do not arrive")
            tally.left = sum(
                (
                    replication.guarded(record.writer),
                    not replication.guarded(record.writer.other),
                    record.hold is not None,
                    bool(replication.parked(record.writer.other)),
                )
            )
        verdict = looked_up([*history.writes, *self._strays.writes], self._databases, record.writer)
        tally.acknowledged, tally.lost, tally.doubled = verdict.acknowledged, verdict.lost, verdict.doubled
        tally.wrong += verdict.examples
        check = check_phase(self._wiring, PHASE)
        if not check.clean:
            tally.wrong.append(f"the two sides differ in {len(check.findings)} rows")
