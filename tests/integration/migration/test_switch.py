"""The fenced switch on a real control database: it ends with one writer, whatever fails and whoever dies."""

import multiprocessing
import os
import signal
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import update

from dual_write.errors import DataError
from facade.ports import WorkerStatus
from flags.side import Side
from migration.errors import GateClosed, LeaseHeld, LeaseLost, RunCancelled, RunUnfinished
from migration.journal import CANCELLED, FINISHED, Journal
from migration.lease import TTL_SECONDS, Lease
from migration.procedure import StepDone
from migration.reconcile import TICK_SECONDS, Reconciler
from migration.schema.tables import leases
from migration.stages import Stage
from migration.switch import Switch
from migration.workers import ControlWorkers
from tests.integration.migration.worlds import PHASE, World, pretend_worker, reconciled

CUTOVER = (Stage.RAMP, Side.SERVICE, Stage.LIVE)
ROLLBACK = (Stage.LIVE, Side.MONOLITH, Stage.SHADOW)
COMMIT = 7


def switch(world: World, to: Side) -> None:
    move = world.controller.advance if to is Side.SERVICE else world.controller.rollback
    move(PHASE)


def assert_settled(world: World, writer: Side, stage: Stage) -> None:
    """One writer in the control database, in the guards and in the directions; nothing left over."""
    record = world.control.phase(PHASE)
    data = world.data.read()
    assert (record.writer, record.stage, record.hold) == (writer, stage, None)
    assert list(data["guards"]) == [writer.other]
    assert {to for to, inbox in data["inboxes"].items() if inbox["open"]} == {writer.other}
    assert data["inboxes"][writer.other]["epoch"] == record.epoch
    assert Journal(world.control).unfinished() == []
    Lease.acquire(world.control, PHASE, "next").release()


@pytest.fixture
def world(tmp_path: Path):
    worlds: list[World] = []

    def make(**options) -> World:
        worlds.append(World(tmp_path, **options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


def test_the_ten_steps_run_in_order(world) -> None:
    seen: list[StepDone] = []
    here = world(observer=seen.append)
    here.reach(Stage.RAMP)
    seen.clear()

    moved = here.controller.advance(PHASE)

    assert [(step.number, step.name) for step in seen] == list(
        enumerate((step.name for step in Switch.steps), 1)
    )
    assert len(seen) == 10
    assert seen[COMMIT - 1].name == "commit"
    assert (moved.source, moved.target) == (Stage.RAMP, Stage.LIVE)
    assert moved.held_seconds is not None
    assert_settled(here, Side.SERVICE, Stage.LIVE)


def test_cutover_and_rollback_raise_the_epoch_each(world) -> None:
    here = world()
    here.reach(Stage.LIVE)
    assert here.control.phase(PHASE).epoch == 2

    here.controller.rollback(PHASE)

    assert here.control.phase(PHASE).epoch == 3
    assert_settled(here, Side.MONOLITH, Stage.SHADOW)


def test_workers_hold_and_are_released(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with pretend_worker(here.control, "w1"), pretend_worker(here.control, "w2"):
        moved = here.controller.advance(PHASE)
    assert moved.late_workers == ()
    assert_settled(here, Side.SERVICE, Stage.LIVE)


def test_i1_a_worker_that_never_stops_writing_cancels_the_switch(world) -> None:
    here = world(hold=0.3)
    here.reach(Stage.RAMP)
    with (
        pretend_worker(here.control, "good"),
        pretend_worker(here.control, "stuck", in_flight=lambda: 1),
        pytest.raises(RunCancelled, match="stuck did not stop the writes of phase 'search'"),
    ):
        here.controller.advance(PHASE)
    assert_settled(here, Side.MONOLITH, Stage.RAMP)
    assert "guard monolith" not in here.data.read()["calls"]


def test_the_hold_limit_cancels_before_the_point_of_no_return(world) -> None:
    def slow(call: str) -> None:
        if call.startswith("hand_over"):
            time.sleep(0.3)

    here = world(hold=0.3, fail=slow)
    here.reach(Stage.RAMP)
    with pytest.raises(RunCancelled, match=r"held for 0\.2 s of at most 0\.3 s"):
        here.controller.advance(PHASE)
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


def test_rows_that_differ_cancel_the_switch(world) -> None:
    differing = ["saved_searches 7: name"]
    here = world(recheck=lambda _phase, _replication, _side: nullcontext(lambda _deadline: differing))
    here.reach(Stage.RAMP)
    with pytest.raises(RunCancelled, match=r"1 rows differ .* saved_searches 7: name"):
        here.controller.advance(PHASE)
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


@pytest.mark.parametrize("nth", range(7))
@pytest.mark.parametrize(("source", "to", "target"), [CUTOVER, ROLLBACK], ids=["cutover", "rollback"])
def test_i7_a_failure_at_any_operation_is_cancelled_or_finished(world, nth, source, to, target) -> None:
    countdown = [-1]

    def fail(call: str) -> None:
        countdown[0] -= 1
        if countdown[0] == -1:
            raise DataError(f"{call} failed")

    here = world(fail=fail)
    here.reach(source)
    countdown[0] = nth
    try:
        switch(here, to)
    except RunCancelled:
        assert_settled(here, to.other, source)
    else:
        assert_settled(here, to, target)


def test_i7_a_failing_unguard_leaves_the_run_to_the_reconciler(world) -> None:
    broken = [False]

    def fail(call: str) -> None:
        if broken[0] and call.startswith(("unguard", "drain")):
            raise DataError(f"{call} failed")

    here = world(fail=fail)
    here.reach(Stage.RAMP)
    broken[0] = True
    with pytest.raises(RunUnfinished, match="drain service failed"):
        here.controller.advance(PHASE)
    reconciler = Reconciler(here.control, here.controller.resume)
    assert reconciler.tick() == []
    broken[0] = False
    assert [run.outcome for run in reconciler.tick()] == [CANCELLED]
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


def test_a_closed_gate_stops_before_anything_is_touched(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    calls = here.data.read()["calls"]
    ControlWorkers(here.control).report(WorkerStatus("late", "here", 1, 0, frozenset(), {}, None))
    with pytest.raises(GateClosed, match="workers: late lags behind"):
        here.controller.advance(PHASE)
    assert here.data.read()["calls"] == calls
    assert Journal(here.control).last(PHASE, "switch") == []


def test_a_second_controller_is_refused_and_told_who_is_at_work(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with Lease.acquire(here.control, PHASE, "ops-laptop:4711"):
        with pytest.raises(LeaseHeld, match="ops-laptop:4711"):
            here.controller.advance(PHASE)
        with pytest.raises(LeaseHeld, match="ops-laptop:4711"):
            here.controller.rollback(PHASE)
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


def die_after(directory: Path, to: Side, number: int) -> None:
    """In a process of its own: make the switch, and die without a word after the given step."""

    def observer(step: StepDone) -> None:
        if (step.kind, step.number) == (Switch.kind, number):
            os.kill(os.getpid(), signal.SIGKILL)

    switch(World(directory, observer=observer, hold=30.0), to)


def kill_one_after_each_step(directories: dict[int, Path], to: Side) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    dying = [
        context.Process(target=die_after, args=(directory, to, number))
        for number, directory in directories.items()
    ]
    for process in dying:
        process.start()
    for process in dying:
        process.join()
        assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(("source", "to", "target"), [CUTOVER, ROLLBACK], ids=["cutover", "rollback"])
def test_i7_a_controller_killed_after_any_step_leaves_one_writer(tmp_path, source, to, target) -> None:
    directories = {number: tmp_path / str(number) for number in range(1, len(Switch.steps) + 1)}
    with ExitStack() as stack:
        worlds: dict[int, World] = {}
        for number, directory in directories.items():
            directory.mkdir()
            worlds[number] = World(directory)
            stack.callback(worlds[number].close)
            worlds[number].reach(source)

        kill_one_after_each_step(directories, to)

        for world in worlds.values():
            reconciled(world.control, world.controller)

        for number, world in worlds.items():
            committed = number >= COMMIT
            assert_settled(world, to if committed else to.other, target if committed else source)
            if number > 1:
                [run] = Journal(world.control).last(PHASE, "switch", limit=1)
                assert run.outcome == (FINISHED if committed else CANCELLED)


def test_i7_an_interrupt_after_the_commit_still_finishes_the_switch(world) -> None:
    def interrupt(step: StepDone) -> None:
        if step.name == "reverse":
            raise KeyboardInterrupt

    here = world(observer=interrupt)
    here.reach(Stage.LIVE)
    assert_settled(here, Side.SERVICE, Stage.LIVE)


def test_i7_an_interrupt_before_the_commit_cancels_the_switch(world) -> None:
    def interrupt(step: StepDone) -> None:
        if step.name == "drain":
            raise KeyboardInterrupt

    here = world(observer=interrupt)
    with pytest.raises(KeyboardInterrupt):
        here.reach(Stage.LIVE)
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


def test_i1_a_controller_that_wakes_up_too_late_cannot_shut_the_writer_out(world) -> None:
    def stand_still(call: str) -> None:
        if call != "guard monolith":
            return
        with here.control.write() as connection:
            connection.execute(update(leases).values(expires_at=1.0))
        assert [run.outcome for run in reconciler.tick()] == [CANCELLED]

    rescuer = world()
    here = world(fail=stand_still)
    reconciler = Reconciler(rescuer.control, rescuer.controller.resume)
    rescuer.reach(Stage.RAMP)
    with pytest.raises(LeaseLost):
        here.controller.advance(PHASE)
    assert here.data.guarded(Side.MONOLITH)

    assert reconciler.straighten(rescuer.controller.replication) == [PHASE]
    assert_settled(here, Side.MONOLITH, Stage.RAMP)
    assert reconciler.straighten(rescuer.controller.replication) == []


def test_i7_a_direction_that_a_late_controller_closed_is_opened_again(world) -> None:
    """It stood still between drain and close; others have cancelled the switch since."""

    def stand_still(call: str) -> None:
        if call == "close service 1":
            with here.control.write() as connection:
                connection.execute(update(leases).values(expires_at=1.0))
            assert [run.outcome for run in reconciler.tick()] == [CANCELLED]

    rescuer = world()
    here = world(fail=stand_still)
    reconciler = Reconciler(rescuer.control, rescuer.controller.resume)
    rescuer.reach(Stage.RAMP)
    with pytest.raises(LeaseLost):
        here.controller.advance(PHASE)
    assert not here.data.flows(Side.SERVICE)

    assert reconciler.straighten(rescuer.controller.replication) == [PHASE]
    assert_settled(here, Side.MONOLITH, Stage.RAMP)


def test_i7_a_complete_phase_has_nothing_to_straighten(world) -> None:
    here = world()
    here.reach(Stage.LIVE)
    here.checked()
    here.controller.complete(PHASE)
    reconciler = Reconciler(here.control, here.controller.resume)
    assert reconciler.straighten(here.controller.replication) == []


def test_i7_a_death_is_answered_within_five_seconds() -> None:
    assert TTL_SECONDS + 2 * TICK_SECONDS < 5


def test_i7_the_next_command_ends_what_was_left_behind(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with Lease.acquire(here.control, PHASE, "dead") as lease:
        journal = Journal(here.control)
        intent = {
            "to": "service",
            "before": ["monolith"],
            "split": False,
            "source": "ramp",
            "target": "live",
            "shares": {},
            "hold_limit": 1.0,
            "epoch": 2,
        }
        journal.begin(lease, Switch.kind, intent, "tester")
    here.controller.ramp(PHASE, 10)
    assert Journal(here.control).last(PHASE, Switch.kind)[0].outcome == CANCELLED
    assert_settled(here, Side.MONOLITH, Stage.RAMP)
