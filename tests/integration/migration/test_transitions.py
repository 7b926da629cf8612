"""Moves from stage to stage, and the moves that are refused."""

from pathlib import Path

import pytest

from dual_write.errors import DataError
from flags.errors import FlagError
from flags.side import Side
from flags.store import EmbeddedStore
from migration.errors import GateClosed, LeaseHeld, MigrationError, RunCancelled, StageError
from migration.flag_desk import FlagDesk
from migration.lease import Lease
from migration.procedure import StepDone
from migration.stages import Stage
from migration.status import read_status
from migration.switch import Switch
from tests.integration.migration.worlds import PHASE, World, pretend_worker


@pytest.fixture
def world(tmp_path: Path):
    worlds: list[World] = []

    def make(**options) -> World:
        worlds.append(World(tmp_path, **options))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


def shares(world: World) -> tuple[int, int]:
    flags = EmbeddedStore(world.control.engine).snapshot()
    return flags.share("search.reads"), flags.share("search.shadow")


def test_the_whole_way_there(world) -> None:
    here = world()
    assert here.controller.sync(PHASE, lambda _: None, lambda: False) is True
    here.checked()
    assert here.control.phase(PHASE).stage is Stage.DUAL_WRITE
    data = here.data.read()
    assert data["installed"]
    assert data["guards"] == {"service": {"owner": "monolith", "epoch": 1}}
    assert data["inboxes"]["service"] == {"epoch": 1, "open": True}

    here.controller.advance(PHASE)
    assert shares(here) == (0, 10_000)
    here.controller.advance(PHASE)
    here.controller.ramp(PHASE, 10)
    assert shares(here)[0] == 1000
    here.controller.advance(PHASE)
    assert shares(here)[0] == 10_000

    here.checked()
    here.controller.complete(PHASE)
    record = here.control.phase(PHASE)
    assert (record.stage, record.writer) == (Stage.COMPLETE, Side.SERVICE)
    data = here.data.read()
    assert list(data["guards"]) == ["monolith"]
    assert not data["installed"]
    assert not any(inbox["open"] for inbox in data["inboxes"].values())


def test_a_check_of_an_earlier_installation_opens_no_gate(world) -> None:
    here = world()
    here.reach(Stage.SHADOW)
    here.controller.rollback(PHASE)
    here.controller.rollback(PHASE)
    here.controller.sync(PHASE, lambda _: None, lambda: False)
    here.controller.advance(PHASE)
    with pytest.raises(GateClosed, match="the two sides were never compared"):
        here.controller.advance(PHASE)


@pytest.mark.parametrize("step", [step.name for step in Switch.steps])
def test_a_kill_in_the_middle_of_a_switch_holds(world, step) -> None:
    def kill(done: StepDone) -> None:
        if (done.kind, done.name) == (Switch.kind, step):
            FlagDesk(here.control, EmbeddedStore(here.control.engine), "on call").kill(PHASE)

    here = world(observer=kill)
    here.reach(Stage.RAMP)
    here.controller.ramp(PHASE, 50)
    assert here.controller.advance(PHASE).target is Stage.LIVE
    record = here.control.phase(PHASE)
    assert (record.stage, record.writer) == (Stage.LIVE, Side.SERVICE)
    flags = EmbeddedStore(here.control.engine)
    assert flags.snapshot().share(f"{PHASE}.reads") == 0
    assert flags.snapshot().share(f"{PHASE}.writes") == 10_000
    # A share that is given afterwards gives it life again.
    FlagDesk(here.control, flags, "on call").set_share(f"{PHASE}.reads", 10_000)
    assert flags.snapshot().share(f"{PHASE}.reads") == 10_000


@pytest.mark.parametrize(
    ("stage", "back"),
    [(Stage.DUAL_WRITE, Stage.OFF), (Stage.SHADOW, Stage.DUAL_WRITE), (Stage.RAMP, Stage.SHADOW)],
)
def test_i8_rollback_without_a_switch(world, stage, back) -> None:
    here = world()
    here.reach(stage)
    moved = here.controller.rollback(PHASE)
    assert (moved.source, moved.target, moved.held_seconds) == (stage, back, None)
    assert here.data.read()["installed"] is (back is not Stage.OFF)


def test_i8_reads_go_back_even_when_the_writes_cannot(world) -> None:
    broken = [False]

    def fail(call: str) -> None:
        if broken[0] and call.startswith("drain"):
            raise DataError("the service's database does not answer")

    here = world(fail=fail)
    here.reach(Stage.LIVE)
    broken[0] = True
    with pytest.raises(RunCancelled, match="does not answer"):
        here.controller.rollback(PHASE)
    record = here.control.phase(PHASE)
    assert (record.stage, record.writer, record.hold) == (Stage.LIVE, Side.SERVICE, None)
    assert shares(here)[0] == 0
    broken[0] = False
    assert here.controller.rollback(PHASE).target is Stage.SHADOW


def test_i8_reads_go_back_even_while_another_controller_holds_the_lease(world) -> None:
    here = world()
    here.reach(Stage.LIVE)
    with Lease.acquire(here.control, PHASE, "other"), pytest.raises(LeaseHeld):
        here.controller.rollback(PHASE)
    assert shares(here)[0] == 0


def test_there_and_back_and_there_again(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with pretend_worker(here.control, "w1"):
        for epoch in (2, 4, 6):
            while here.control.phase(PHASE).stage is not Stage.LIVE:
                here.controller.advance(PHASE)
            assert here.control.phase(PHASE).epoch == epoch
            here.controller.rollback(PHASE)


def test_a_phase_without_tables_moves_freely(world) -> None:
    here = world(tables=False)
    here.reach(Stage.LIVE)
    here.controller.rollback(PHASE)
    assert here.control.phase(PHASE).writer is Side.MONOLITH
    assert here.data.read()["calls"] == []


def test_a_closed_gate_keeps_the_stage(world) -> None:
    here = world()
    here.controller.sync(PHASE, lambda _: None, lambda: False)
    here.controller.advance(PHASE)
    with pytest.raises(
        GateClosed, match=r"cannot go to ramp yet:\n  check: the two sides were never compared"
    ):
        here.controller.advance(PHASE)
    assert here.control.phase(PHASE).stage is Stage.SHADOW


def test_i1_writes_are_not_split_without_a_routing_key(world) -> None:
    here = world()
    here.reach(Stage.RAMP)
    with pytest.raises(StageError, match=r"no routing_key.*routing_key = \"jwt:sub\""):
        here.controller.ramp(PHASE, 10, 50)
    assert shares(here)[0] == 0
    here.controller.ramp(PHASE, 10, 0)
    with pytest.raises(StageError, match="--reads, --writes or both"):
        here.controller.ramp(PHASE)


@pytest.mark.parametrize("reads", ["abc", 101, "0.5", -1])
def test_a_bad_percentage_changes_nothing(world, reads) -> None:
    here = world()
    here.reach(Stage.RAMP)
    revision = here.control.revision()
    with pytest.raises(FlagError):
        here.controller.ramp(PHASE, reads)
    assert here.control.revision() == revision


@pytest.mark.parametrize(
    ("stage", "command", "message"),
    [
        (Stage.OFF, "rollback", "is off; there is nothing to roll back"),
        (Stage.OFF, "complete", "only a live phase can be completed"),
        (Stage.SHADOW, "ramp", "`strangler advance search` leads there"),
        (Stage.LIVE, "ramp", "`strangler rollback search` takes them back"),
        (Stage.LIVE, "advance", "`strangler complete search`"),
        (Stage.LIVE, "sync", "the service owns its rows"),
        (Stage.COMPLETE, "advance", "nothing to advance to"),
        (Stage.COMPLETE, "rollback", "its way back has ended"),
    ],
)
def test_moves_that_the_stage_does_not_allow(world, stage, command, message) -> None:
    here = world()
    if stage is Stage.COMPLETE:
        here.reach(Stage.LIVE)
        here.controller.complete(PHASE)
    else:
        here.reach(stage)
    arguments = {"ramp": (10,), "sync": (lambda _: None, lambda: False)}.get(command, ())
    with pytest.raises(StageError, match=message):
        getattr(here.controller, command)(PHASE, *arguments)
    assert here.control.phase(PHASE).stage is stage


def test_an_unknown_phase_is_named(world) -> None:
    with pytest.raises(MigrationError, match="Did you mean 'search'"):
        world().controller.advance("serach")


def test_status_tells_stage_gates_and_workers(world) -> None:
    here = world()
    here.reach(Stage.SHADOW)
    with pretend_worker(here.control, "w1"):
        status = read_status(here.plan, here.control, {PHASE: here.data})
    [phase] = status.phases
    assert (phase.stage, phase.next, phase.writer, phase.held) == (
        Stage.SHADOW,
        Stage.RAMP,
        Side.MONOLITH,
        False,
    )
    assert {gate.name: gate.open for gate in phase.gates}["check"] is True
    assert [worker.status.worker for worker in status.workers] == ["w1"]
    plain = status.to_json()
    assert plain["phases"][0]["shares"]["shadow"] == 10_000
    assert plain["workers"][0]["status"]["holding"] == []


def test_status_before_anything_was_done(world) -> None:
    here = world()
    [phase] = read_status(here.plan, here.control).phases
    assert (phase.stage, phase.next, phase.match.rate) == (Stage.OFF, Stage.DUAL_WRITE, None)
