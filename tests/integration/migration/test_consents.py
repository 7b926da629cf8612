"""Approvals and confirmations: whose count, for what, and for how long."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from migration.audit import latest
from migration.cli.app import app
from migration.consents import Consents
from migration.errors import GateClosed, StageError
from migration.gate_facts import Step
from migration.schema.tables import consents
from migration.stages import Stage
from tests.integration.migration.worlds import PHASE, World

POINT = "support is told"
GATES = """
consent_seconds = 600
approvals = { reads = 1, live = 2 }
confirm = { live = ["support is told"] }
"""


@pytest.fixture
def world(tmp_path: Path):
    world = World(tmp_path, gates=GATES)
    yield world
    world.close()


def closed(failure: pytest.ExceptionInfo[GateClosed]) -> list[str]:
    return [gate.name for gate in failure.value.verdicts]


def test_a_step_waits_for_enough_other_people(world: World) -> None:
    world.reach(Stage.RAMP)
    said = Consents(world.control, world.plan)
    live = Step(Stage.LIVE)
    said.approve(PHASE, live, "tester")  # who runs it
    said.approve(PHASE, live, "tester@elsewhere")
    said.approve(PHASE, live, "ann@one")
    said.approve(PHASE, live, "Ann@two")
    with pytest.raises(GateClosed) as failure:
        world.controller.advance(PHASE)
    assert closed(failure) == ["confirmations", "approvals"]
    said.approve(PHASE, live, "bob@one")
    said.confirm(PHASE, live, POINT, "tester")
    assert world.controller.advance(PHASE).target is Stage.LIVE


def test_raising_reads_is_approved_up_to_a_share_and_lowering_by_nobody(world: World) -> None:
    world.reach(Stage.RAMP)
    with pytest.raises(GateClosed) as failure:
        world.controller.ramp(PHASE, 10)
    assert closed(failure) == ["approvals"]
    Consents(world.control, world.plan).approve(PHASE, Step("reads", 2500), "ann")
    world.controller.ramp(PHASE, 10)
    world.controller.ramp(PHASE, 25)
    with pytest.raises(GateClosed):
        world.controller.ramp(PHASE, 26)
    world.controller.ramp(PHASE, 0)
    plan = ["--plan", str(world.plan.file)]
    refused = CliRunner().invoke(app, ["flags", "set", f"{PHASE}.reads", "26", *plan])
    assert isinstance(refused.exception, GateClosed)
    assert CliRunner().invoke(app, ["flags", "set", f"{PHASE}.reads", "25", *plan]).exit_code == 0


def test_an_approval_ends_with_its_time_its_plan_and_its_stage(world: World, tmp_path: Path) -> None:
    world.reach(Stage.RAMP)
    said = Consents(world.control, world.plan)
    said.approve(PHASE, Step("reads", 2500), "ann")
    assert len(said.given(PHASE)) == 1

    changed = World(tmp_path, gates=GATES + "min_match_rate = 0.5")
    assert Consents(changed.control, changed.plan).given(PHASE) == []
    changed.close()

    with world.control.write() as connection:
        connection.execute(update(consents).values(expires_at=time.time() - 1))
    assert said.given(PHASE) == []

    said.approve(PHASE, Step("reads", 2500), "ann")
    world.controller.rollback(PHASE)
    world.controller.advance(PHASE)
    assert said.given(PHASE) == []


def test_what_the_plan_does_not_ask_for_cannot_be_given(world: World) -> None:
    said = Consents(world.control, world.plan)
    with pytest.raises(StageError, match=r"asks for no approval of ramp .* before: reads, live"):
        said.approve(PHASE, Step(Stage.RAMP), "ann")
    with pytest.raises(StageError, match=r"no point 'else' .* It has: 'support is told'"):
        said.confirm(PHASE, Step(Stage.LIVE), "else", "ann")


def test_the_command_line_gives_them_and_the_audit_log_keeps_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRANGLER_ACTOR", "ann@desk")
    plan = ["--plan", str(world.plan.file), "--json"]
    run = CliRunner()
    approved = run.invoke(app, ["approve", PHASE, "reads", "25", "--note", "fine", *plan])
    assert approved.exit_code == 0, approved.output
    given = json.loads(approved.output)
    assert (given["step"], given["who"], given["note"]) == ("reads 25", "ann@desk", "fine")
    assert given["expires_at"] - given["at"] == 600
    confirmed = run.invoke(app, ["confirm", PHASE, "live", POINT, *plan])
    assert confirmed.exit_code == 0, confirmed.output
    with world.control.read() as connection:
        entries = latest(connection, 2)
    assert [(entry.who, entry.what) for entry in entries] == [
        ("ann@desk", f"confirmation for {PHASE}"),
        ("ann@desk", f"approval for {PHASE}"),
    ]
    assert entries[1].after["plan"] == world.plan.hash
    for wrong in (["live", "25"], ["reads"], ["off"]):
        refused = run.invoke(app, ["approve", PHASE, *wrong, *plan])
        assert refused.exit_code != 0
