"""The guard's holder dies in the middle of a take-back: another finishes it, once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from facade.tally import ReadCounts
from flags.side import Side
from migration.audit import latest
from migration.lease import Lease, new_holder
from migration.ramp_guard import LEASE, RampGuard, guard
from migration.read_traffic import ControlReads
from migration.stages import Stage
from migration.takebacks import Takeback, Takebacks
from migration.wiring import Wiring
from tests.integration.migration.worlds import PHASE, write_plan

TAKEN_OVER_SECONDS = 30.0


@pytest.fixture
def wiring(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wiring]:
    """A phase without tables, in the ramp with half of its reads, which the service fails."""
    engine = getattr(request, "param", "sqlite")
    control = None if engine == "sqlite" else request.getfixturevalue("postgresql_database")()
    wiring = Wiring(write_plan(tmp_path, tables=False, control=control))
    while wiring.control.phase(PHASE).stage is not Stage.RAMP:
        wiring.controller.advance(PHASE)
    wiring.controller.ramp(PHASE, 50)
    fail(wiring)
    yield wiring
    wiring.close()


def fail(wiring: Wiring) -> None:
    ControlReads(wiring.control).tell(
        [
            ReadCounts(PHASE, Side.SERVICE, 100, 100, {}),
            ReadCounts(PHASE, Side.MONOLITH, 100, 0, {3.0: 100}),
        ]
    )


def die(plan: Path, moment: str) -> None:
    """What a child process does: watch, and be killed at a moment of the take-back."""
    wiring = Wiring.load(plan)
    watching = RampGuard(wiring, Lease.acquire(wiring.control, LEASE, new_holder()))

    def killed(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if moment == "in the write":
        wiring.control.audit = killed  # type: ignore[method-assign]  # the last statement of the transaction
    else:
        Takebacks.add_evidence = killed  # type: ignore[method-assign]
    watching.tick()


def watch_here(wiring: Wiring) -> Takeback:
    """Watch as `strangler serve` does, until the take-back is whole."""
    ending = threading.Event()
    thread = threading.Thread(target=guard, args=(wiring, ending))
    thread.start()
    try:
        deadline = time.monotonic() + TAKEN_OVER_SECONDS
        while True:
            made = Takebacks(wiring.control).of(PHASE)
            if made and made[0].evidence is not None:
                return made[0]
            assert time.monotonic() < deadline, "nobody took the guard over"
            fail(wiring)  # it goes on failing, while it may
            time.sleep(0.05)
    finally:
        ending.set()
        thread.join()


@pytest.mark.parametrize(
    ("wiring", "moment"),
    [("sqlite", "in the write"), ("postgresql", "in the write"), ("postgresql", "after the write")],
    indirect=["wiring"],
)
def test_a_guard_that_is_killed_in_mid_takeback_is_taken_over(wiring: Wiring, moment: str) -> None:
    module = "tests.integration.migration.test_ramp_takeover"
    run = f"from {module} import die; die({str(wiring.plan.file)!r}, {moment!r})"
    died = subprocess.run([sys.executable, "-c", run], capture_output=True, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    taken = wiring.flags.snapshot().share(f"{PHASE}.reads") == 0
    assert taken is (moment == "after the write")
    assert len(Takebacks(wiring.control).of(PHASE)) == taken

    takeback = watch_here(wiring)
    assert takeback.evidence is not None
    assert takeback.evidence["30"]["service"]["failed"] >= 100
    assert wiring.flags.snapshot().share(f"{PHASE}.reads") == 0
    assert len(Takebacks(wiring.control).of(PHASE)) == 1
    with wiring.control.read() as connection:
        told = [entry for entry in latest(connection, 50) if "taken back by the guard" in entry.what]
    assert len(told) == 1


def test_only_one_process_watches_at_a_time_and_what_was_done_by_hand_is_first(wiring: Wiring) -> None:
    with Lease.acquire(wiring.control, LEASE, "elsewhere") as lease:
        wiring.controller.ramp(PHASE, 0)
        assert RampGuard(wiring, lease).tick() == []  # nothing is left to take back
        assert Takebacks(wiring.control).of(PHASE) == []


def test_who_is_let_in_before_any_percentage_is_taken_back_too(tmp_path: Path) -> None:
    plan = write_plan(
        tmp_path, tables=False, routing_key="header:X-User", gates='[phases.cohorts]\nallow = ["ann"]'
    )
    wiring = Wiring(plan)
    while wiring.control.phase(PHASE).stage is not Stage.RAMP:
        wiring.controller.advance(PHASE)
    fail(wiring)
    with Lease.acquire(wiring.control, LEASE, "here") as lease:
        assert len(RampGuard(wiring, lease).tick()) == 1
        assert RampGuard(wiring, lease).tick() == []
    flag = wiring.flags.get(f"{PHASE}.reads")
    assert flag is not None
    assert flag.killed
    wiring.close()


def test_once_taken_back_the_fault_that_is_still_seen_changes_nothing_more(wiring: Wiring) -> None:
    with Lease.acquire(wiring.control, LEASE, "here") as lease:
        watching = RampGuard(wiring, lease)
        assert len(watching.tick()) == 1
        revision = wiring.control.revision()
        fail(wiring)
        assert RampGuard(wiring, lease).tick() == []
        assert wiring.control.revision() == revision


def test_a_phase_that_the_plan_does_not_guard_is_left_alone(tmp_path: Path) -> None:
    plan = write_plan(tmp_path, tables=False, gates="[phases.guard]\nenabled = false")
    wiring = Wiring(plan)
    while wiring.control.phase(PHASE).stage is not Stage.RAMP:
        wiring.controller.advance(PHASE)
    wiring.controller.ramp(PHASE, 50)
    fail(wiring)
    with Lease.acquire(wiring.control, LEASE, "here") as lease:
        assert RampGuard(wiring, lease).tick() == []
    wiring.close()
