"""The stepped ramp: it climbs by itself while all is well, and never against a person."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from facade.tally import ReadCounts
from flags.side import Side
from migration.cli.app import app
from migration.consents import Consents
from migration.errors import StageError
from migration.flag_desk import FlagDesk
from migration.gate_facts import Step
from migration.lease import Lease
from migration.ramp_guard import LEASE, RampGuard
from migration.ramp_steps import RampSteps, State, Stepped, read_steps
from migration.read_traffic import ControlReads
from migration.schema.tables import ramps
from migration.stages import Stage
from migration.wiring import Wiring
from tests.integration.migration.worlds import PHASE, write_plan

RAMP = "[phases.ramp]\nsteps = [1, 25, 100]\nstep_seconds = [60, 600, 60]\nmin_samples = 50"


class Climb:
    """A phase in the ramp whose time passes when it is told to."""

    def __init__(self, directory: Path, gates: str = RAMP) -> None:
        self.wiring = Wiring(write_plan(directory, tables=False, gates=gates))
        while self.wiring.control.phase(PHASE).stage is not Stage.RAMP:
            self.wiring.controller.advance(PHASE)
        self.steps = RampSteps(self.wiring.plan, self.wiring.control, self.wiring.flags, "guard@here")
        self._lease = Lease.acquire(self.wiring.control, LEASE, "here")

    def look(self) -> Stepped:
        self.steps.go_on(self._lease)
        with self.wiring.control.read() as connection:
            stepped = read_steps(connection, PHASE)
        assert stepped is not None
        return stepped

    def pass_time(self, seconds: float) -> None:
        with self.wiring.control.write() as connection:
            connection.execute(update(ramps).values(since=ramps.c.since - seconds))

    def answer(self, service: int, failed: int = 0, monolith: int = 1000) -> None:
        ControlReads(self.wiring.control).tell(
            [
                ReadCounts(PHASE, Side.SERVICE, service, failed, {3.0: service - failed}),
                ReadCounts(PHASE, Side.MONOLITH, monolith, 0, {3.0: monolith}),
            ]
        )

    @property
    def share(self) -> int:
        return self.wiring.flags.snapshot().share(f"{PHASE}.reads")

    def close(self) -> None:
        self._lease.release()
        self.wiring.close()


@pytest.fixture
def climb(tmp_path: Path) -> Iterator[Climb]:
    climb = Climb(tmp_path)
    yield climb
    climb.close()


def test_it_climbs_step_by_step_when_time_is_over_and_the_service_has_proven_itself(climb: Climb) -> None:
    climb.steps.start(PHASE)
    assert climb.look().share == climb.share == 100
    assert climb.look().said == "waits at 1 % for 60 s."
    climb.pass_time(61)
    assert climb.look().said == "waits at 1 %: the service has answered 0 of 50 reads."
    climb.answer(200, failed=20)
    assert "the service failed 20 of 200 reads (10.00%)" in climb.look().said
    climb.answer(20_000)
    assert climb.look().share == climb.share == 2500
    climb.pass_time(300)
    climb.answer(100)
    assert climb.look().said == "waits at 25 % for 10 min."
    climb.pass_time(301)
    assert climb.look().share == climb.share == 10_000
    climb.answer(100, monolith=1)
    climb.pass_time(61)
    assert climb.look().state is State.DONE
    assert "strangler advance search" in climb.look().said


@pytest.mark.parametrize("by_hand", ["ramp", "flag", "kill", "rollback", "pause"])
def test_what_a_person_does_stops_it(climb: Climb, by_hand: str) -> None:
    climb.steps.start(PHASE)
    climb.look()
    climb.answer(1000)
    climb.pass_time(61)
    controller, desk = climb.wiring.controller, FlagDesk(climb.wiring.control, climb.wiring.flags)
    act = {
        "ramp": lambda: controller.ramp(PHASE, 0),
        "flag": lambda: desk.set_share(f"{PHASE}.reads", 200),
        "kill": lambda: desk.kill(PHASE),
        "rollback": lambda: controller.rollback(PHASE),
        "pause": lambda: climb.steps.pause(PHASE),
    }[by_hand]
    act()
    before = climb.share
    assert climb.look().state is State.PAUSED
    assert climb.look().said
    assert climb.share == before


def test_it_goes_on_from_where_the_share_is(climb: Climb) -> None:
    climb.wiring.controller.ramp(PHASE, 10)
    climb.steps.start(PHASE)
    climb.answer(1000)
    climb.pass_time(61)
    assert climb.look().share == 2500


def test_each_step_waits_for_its_approval(tmp_path: Path) -> None:
    climb = Climb(tmp_path, "approvals = { reads = 1 }\n" + RAMP)
    climb.steps.start(PHASE)
    assert "strangler approve search reads 1" in climb.look().said
    assert climb.share == 0
    Consents(climb.wiring.control, climb.wiring.plan).approve(PHASE, Step("reads", 2500), "ann")
    assert climb.look().share == 100
    climb.answer(1000)
    climb.pass_time(61)
    assert climb.look().share == 2500
    climb.answer(1000)
    climb.pass_time(601)
    assert "strangler approve search reads 100" in climb.look().said
    climb.close()


def test_a_takeback_stops_it_until_somebody_has_looked(climb: Climb) -> None:
    climb.wiring.controller.ramp(PHASE, 1)
    climb.steps.start(PHASE)
    climb.answer(200, failed=200)
    with climb.wiring.control.read():
        lease = climb._lease
    assert len(RampGuard(climb.wiring, lease).tick()) == 1
    stepped = climb.look()
    assert (stepped.state, climb.share) == (State.PAUSED, 0)
    plan = ["--plan", str(climb.wiring.plan.file)]
    again = CliRunner().invoke(app, ["ramp", PHASE, "--steps", *plan])
    assert isinstance(again.exception, StageError)
    assert "strangler guard acknowledge search" in str(again.exception)


def test_the_command_line_starts_and_pauses_it(climb: Climb) -> None:
    plan = ["--plan", str(climb.wiring.plan.file)]
    run = CliRunner()
    assert "running" in run.invoke(app, ["ramp", PHASE, "--steps", *plan]).output
    climb.look()
    shown = run.invoke(app, ["guard", "show", PHASE, "--json", *plan])
    assert shown.exit_code == 0, shown.output
    assert '"share": "1"' in shown.output
    assert "waits at 1 %" in run.invoke(app, ["status", *plan]).output
    assert "paused" in run.invoke(app, ["ramp", PHASE, "--pause", *plan]).output
    with pytest.raises(StageError, match="are running"):
        climb.steps.pause(PHASE)
