"""Writes by percentage: each new share takes a fenced switch, and leaves one picture of who writes."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update

from dual_write.errors import DataError, SchemaError
from dual_write.parking import CONFLICT, Parked
from facade.ports import WorkerStatus
from flags.errors import FlagError
from flags.side import Side
from flags.store import EmbeddedStore
from migration.errors import GateClosed, LeaseLost, RunCancelled, RunUnfinished, StageError
from migration.flag_desk import FlagDesk
from migration.journal import CANCELLED, FINISHED, Journal
from migration.lease import Lease
from migration.observations import CheckRun, Observations
from migration.procedure import StepDone
from migration.reconcile import Reconciler
from migration.schema.tables import leases, workers
from migration.stages import Stage
from migration.switch import Switch
from migration.workers import ControlWorkers
from tests.integration.migration.worlds import PHASE, World, pretend_worker

BOTH = tuple(Side)
UP, MORE, DOWN = (0, 10), (10, 50), (50, 0)


def writing(share: int) -> tuple[Side, ...]:
    return {0: (Side.MONOLITH,), 100: (Side.SERVICE,)}.get(share, BOTH)


def assert_settled(world: World, share: int, stage: Stage = Stage.RAMP) -> None:
    """Flag, record, guards and directions all say the same; nothing is left over."""
    record = world.control.phase(PHASE)
    data = world.data.read()
    assert EmbeddedStore(world.control.engine).snapshot().share(f"{PHASE}.writes") == share * 100
    assert (record.stage, record.writers, record.hold) == (stage, writing(share), None)
    assert set(data["guards"]) == set(Side) - set(record.writers)
    flowing = {to for to, inbox in data["inboxes"].items() if inbox["open"]}
    assert flowing == {writer.other for writer in record.writers}
    assert {data["inboxes"][to]["epoch"] for to in flowing} == {record.epoch}
    assert data.get("apart", False) is record.split
    assert Journal(world.control).unfinished() == []
    Lease.acquire(world.control, PHASE, "next").release()


def reach(world: World, share: int) -> None:
    world.reach(Stage.RAMP)
    if share:
        world.controller.ramp(PHASE, writes=share)


@pytest.fixture
def world(tmp_path: Path):
    worlds: list[World] = []

    def make(**options) -> World:
        worlds.append(World(tmp_path, routing_key="header:X-User", **options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


def test_i1_every_share_has_its_writers_and_an_epoch_of_its_own(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with pretend_worker(here.control, "w1"), pretend_worker(here.control, "w2"):
        for epoch, share in enumerate((10, 50, 100, 50, 0), 2):
            moved = here.controller.ramp(PHASE, writes=share)
            assert (moved.source, moved.target, moved.late_workers) == (Stage.RAMP, Stage.RAMP, ())
            assert moved.held_seconds is not None
            assert here.control.phase(PHASE).epoch == epoch
            assert_settled(here, share)


def test_a_share_that_stands_already_takes_no_switch(world) -> None:
    here = world()
    reach(here, 10)
    epoch = here.control.phase(PHASE).epoch
    assert here.controller.ramp(PHASE, 30, 10).held_seconds is None
    assert here.control.phase(PHASE).epoch == epoch
    assert EmbeddedStore(here.control.engine).snapshot().share(f"{PHASE}.reads") == 3000


def test_reads_and_writes_change_in_one_write(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    here.controller.ramp(PHASE, 40, 20)
    assert EmbeddedStore(here.control.engine).snapshot().share(f"{PHASE}.reads") == 4000
    assert_settled(here, 20)


@pytest.mark.parametrize("share", [50, 100])
def test_i8_a_rollback_from_any_share_leads_to_the_monolith(world, share) -> None:
    here = world()
    reach(here, share)
    here.controller.rollback(PHASE)
    assert_settled(here, 0, Stage.SHADOW)


@pytest.mark.parametrize("share", [50, 100])
def test_any_share_advances_to_live(world, share) -> None:
    here = world()
    reach(here, share)
    here.controller.advance(PHASE)
    assert_settled(here, 100, Stage.LIVE)


def test_more_writes_ask_the_gates_of_live_and_fewer_ask_none(world) -> None:
    here = world()
    reach(here, 50)
    Observations(here.control).add_check(CheckRun(PHASE, False, 10, 3, "all", 4e9, 0.1, {}))
    calls = here.data.read()["calls"]
    for more in (lambda: here.controller.ramp(PHASE, writes=60), lambda: here.controller.advance(PHASE)):
        with pytest.raises(GateClosed, match="check: the last check left 3 findings"):
            more()
    assert here.data.read()["calls"] == calls
    here.controller.ramp(PHASE, writes=40)
    assert_settled(here, 40)


def test_tables_that_the_database_numbers_are_refused_before_anything_is_touched(world) -> None:
    here = world()
    here.reach(Stage.RAMP)

    def numbered() -> None:
        raise SchemaError("numbered by the database")

    here.data.require_apart = numbered
    calls = here.data.read()["calls"]
    with pytest.raises(SchemaError, match="numbered by the database"):
        here.controller.ramp(PHASE, writes=10)
    assert here.data.read()["calls"] == calls
    assert_settled(here, 0)
    here.controller.ramp(PHASE, writes=100)
    assert_settled(here, 100)


def test_rows_in_conflict_are_named_before_clients_have_to_wait(world) -> None:
    here = world()
    reach(here, 50)
    here.data.parked = lambda to: [Parked("saved_queries", "[7]", 1, 1, 1, 0.0, CONFLICT)]
    with pytest.raises(StageError, match=r"saved_queries.*key \[7\].*check search --keep monolith"):
        here.controller.ramp(PHASE, writes=0)
    assert_settled(here, 50)


def test_i1_no_flag_moves_writes_around_the_fence(world) -> None:
    here = world()
    reach(here, 50)
    flags = EmbeddedStore(here.control.engine)
    desk = FlagDesk(here.control, flags, "tester")
    exported = flags.export()
    for around in (lambda: desk.set_share(f"{PHASE}.writes", 0), lambda: desk.kill(f"{PHASE}.writes")):
        with pytest.raises(FlagError, match="strangler ramp search --writes P"):
            around()
    desk.import_(exported)
    for feature in exported["features"]:
        if feature["name"] == f"{PHASE}.writes":
            feature["enabled"] = False
    with pytest.raises(FlagError, match="strangler ramp search --writes P"):
        desk.import_(exported)
    here.controller.ramp(PHASE, 70)
    desk.kill(PHASE)
    assert flags.snapshot().share(f"{PHASE}.reads") == 0
    assert_settled(here, 50)


def test_i1_a_guard_that_appears_on_a_writing_side_is_lifted(world) -> None:
    here = world()
    reach(here, 50)
    here.data.guard(Side.SERVICE, Side.MONOLITH, 1, 1.0)
    reconciler = Reconciler(here.control, here.controller.resume)
    assert reconciler.straighten(here.controller.replication) == [PHASE]
    assert_settled(here, 50)
    assert reconciler.straighten(here.controller.replication) == []


@pytest.mark.parametrize("nth", range(11))
@pytest.mark.parametrize(("share", "wanted"), [UP, MORE, DOWN])
def test_i7_a_failure_at_any_operation_is_cancelled_or_finished(world, nth, share, wanted) -> None:
    countdown = [-1]

    def fail(call: str) -> None:
        countdown[0] -= 1
        if countdown[0] == -1:
            raise DataError(f"{call} failed")

    here = world(fail=fail)
    reach(here, share)
    countdown[0] = nth
    try:
        here.controller.ramp(PHASE, writes=wanted)
    except RunCancelled:
        assert_settled(here, share)
    else:
        assert_settled(here, wanted)


def test_i7_a_failing_unguard_leaves_the_run_to_the_reconciler(world) -> None:
    broken = [False]

    def fail(call: str) -> None:
        if broken[0] and call.startswith(("unguard", "drain")):
            raise DataError(f"{call} failed")

    here = world(fail=fail)
    reach(here, 50)
    broken[0] = True
    with pytest.raises(RunUnfinished, match="drain service failed"):
        here.controller.ramp(PHASE, writes=10)
    reconciler = Reconciler(here.control, here.controller.resume)
    assert reconciler.tick() == []
    broken[0] = False
    assert [run.outcome for run in reconciler.tick()] == [CANCELLED]
    assert_settled(here, 50)


def test_i7_an_unguard_that_goes_on_failing_after_the_commit_is_finished_later(world) -> None:
    broken = [False]

    def fail(call: str) -> None:
        if broken[0] and call.startswith("unguard"):
            raise DataError(f"{call} failed")

    here = world(fail=fail)
    reach(here, 0)
    broken[0] = True
    with pytest.raises(RunUnfinished, match="unguard monolith failed"):
        here.controller.ramp(PHASE, writes=10)
    assert here.control.phase(PHASE).hold is not None
    broken[0] = False
    assert [run.outcome for run in Reconciler(here.control, here.controller.resume).tick()] == [FINISHED]
    assert_settled(here, 10)


@pytest.mark.parametrize("late", ["guard service", "close service 2", "close monolith 2"])
def test_i1_a_controller_that_lost_its_lease_leaves_nothing_that_lasts(world, late) -> None:
    def stand_still(call: str) -> None:
        if call != late or not armed:
            return
        armed.clear()
        with here.control.write() as connection:
            connection.execute(update(leases).values(expires_at=1.0))
        assert [run.outcome for run in reconciler.tick()] == [CANCELLED]

    armed: list[bool] = []
    rescuer = world()
    here = world(fail=stand_still)
    reconciler = Reconciler(rescuer.control, rescuer.controller.resume)
    reach(rescuer, 50)
    armed.append(True)
    with pytest.raises(LeaseLost):
        here.controller.ramp(PHASE, writes=10)
    assert reconciler.straighten(rescuer.controller.replication) == [PHASE]
    assert_settled(here, 50)
    assert reconciler.straighten(rescuer.controller.replication) == []


def test_i1_a_worker_that_never_stops_writing_keeps_the_old_share(world) -> None:
    here = world(hold=0.3)
    reach(here, 10)
    with (
        pretend_worker(here.control, "good"),
        pretend_worker(here.control, "stuck", in_flight=lambda: 1),
        pytest.raises(RunCancelled, match="stuck did not stop the writes of phase 'search'"),
    ):
        here.controller.ramp(PHASE, writes=50)
    assert_settled(here, 10)


def silent_worker(world: World, name: str, pid: int = 1) -> None:
    """One that reported long ago, and has not said that it stopped."""
    ControlWorkers(world.control).report(WorkerStatus(name, "there", pid, 1, frozenset(), {}, None))
    with world.control.write() as connection:
        connection.execute(update(workers).where(workers.c.worker == name).values(seen_at=time.time() - 60))


def test_i1_a_worker_that_fell_silent_is_not_taken_for_dead_where_no_guard_stops_it(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    silent_worker(here, "cut-off")
    calls = here.data.read()["calls"]
    with pytest.raises(StageError, match=r"cut-off \(process 1 on there\) fell silent"):
        here.controller.ramp(PHASE, writes=10)
    assert here.data.read()["calls"] == calls
    here.controller.ramp(PHASE, writes=100)
    assert_settled(here, 100)
    here.controller.rollback(PHASE)
    assert_settled(here, 0, Stage.SHADOW)


def test_i1_a_worker_that_falls_silent_at_the_fence_cancels_a_split(world) -> None:
    def fall_silent(step: StepDone) -> None:
        if (step.kind, step.name) == (Switch.kind, "lease"):
            silent_worker(here, "cut-off")

    here = world(hold=0.3, observer=fall_silent)
    here.reach(Stage.RAMP)
    with pytest.raises(RunCancelled, match="cut-off did not stop the writes"):
        here.controller.ramp(PHASE, writes=10)
    assert_settled(here, 0)


def test_a_silent_worker_whose_process_is_gone_is_forgotten_by_its_own_host(world) -> None:
    here = world()
    silent_worker(here, "dead", pid=7)
    silent_worker(here, "cut-off", pid=8)
    registry = ControlWorkers(here.control)
    registry.bury("elsewhere", lambda _: False)
    registry.bury("there", lambda pid: pid == 8)
    assert [worker.status.worker for worker in registry.silent_workers()] == ["cut-off"]
