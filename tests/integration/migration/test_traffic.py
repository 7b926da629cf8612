"""Requests by who answered them, in the control database, and the gate that asks for the last one."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from facade.traffic import TrafficCount
from flags.side import Side
from migration.audit import latest
from migration.control import Control
from migration.errors import GateClosed
from migration.gate_facts import Step
from migration.schema.observed import monolith_hits, traffic
from migration.schema.tables import phases
from migration.stages import Stage
from migration.stray_writes import note_refused, stray_writes
from migration.traffic import HOUR, MINUTE, ControlTraffic, last_hits, series
from tests.integration.migration.worlds import PHASE, World

DAY = 86_400


@pytest.fixture
def control(tmp_path: Path):
    opened = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
    yield opened
    opened.close()


@pytest.fixture
def live(tmp_path: Path):
    world = World(tmp_path, idle_days=7)
    world.reach(Stage.LIVE)
    world.checked()
    yield world
    world.close()


def answered(side: Side, requests: int, phase: str = PHASE, route: str = "GET /search") -> TrafficCount:
    return TrafficCount(phase, route, side, requests)


def test_counts_add_up_by_minute_and_hour(control: Control) -> None:
    sink = ControlTraffic(control)
    sink.count([answered(Side.SERVICE, 3), answered(Side.MONOLITH, 1), answered(Side.MONOLITH, 4, "", "")])
    sink.count([answered(Side.SERVICE, 2, route="GET /search/saved")])
    for width in (MINUTE, HOUR):
        slots = series(control, width, 3)
        assert [slot.at % width for slot in slots] == [0, 0, 0]
        assert (sum(slot.requests for slot in slots), sum(slot.service for slot in slots)) == (10, 5)
        assert slots[0].share is None
    [hit] = last_hits(control, PHASE)
    assert (hit.route, hit.requests) == ("GET /search", 1)
    assert hit.ago < 60


def test_what_is_too_old_is_forgotten(control: Control) -> None:
    sink = ControlTraffic(control)
    sink.count([answered(Side.SERVICE, 3)])
    with control.write() as connection:
        connection.execute(update(traffic).values(slot=traffic.c.slot - 2 * DAY))
    sink.count([answered(Side.SERVICE, 1)])
    with control.read() as connection:
        kept = connection.execute(select(traffic.c.width, traffic.c.requests)).all()
    assert sorted(kept) == [(MINUTE, 1), (HOUR, 1), (HOUR, 3)]


def test_refused_writes_are_dated_when_their_number_grows(control: Control) -> None:
    assert stray_writes(control, PHASE) is None
    note_refused(control, PHASE, 0)
    quiet = stray_writes(control, PHASE)
    assert quiet is not None
    assert (quiet.refused, quiet.ago) == (0, None)
    note_refused(control, PHASE, 2)
    seen = stray_writes(control, PHASE)
    assert seen is not None
    assert seen.ago is not None
    note_refused(control, PHASE, 0)  # capture was installed anew
    again = stray_writes(control, PHASE)
    assert again is not None
    assert (again.refused, again.ago is None) == (0, False)


def _age(world: World, days: float) -> None:
    """Let so many days have passed since the phase came to live and was last asked for."""
    with world.control.write() as connection:
        connection.execute(update(phases).values(stage_since=phases.c.stage_since - days * DAY))
        past = monolith_hits.c.last_at - days * DAY
        connection.execute(update(monolith_hits).values(last_at=past))


def _closed(world: World) -> str | None:
    verdicts = world.controller.verdicts(PHASE, Step(Stage.COMPLETE))
    [idle] = [verdict for verdict in verdicts if verdict.name == "idle"]
    return None if idle.open else idle.reason


def test_a_phase_is_complete_when_nothing_has_reached_the_monolith_for_days(live: World) -> None:
    with pytest.raises(GateClosed, match=r"idle: nothing has reached the monolith .* --force-idle 'WHY'"):
        live.controller.complete(PHASE)
    _age(live, 5)
    ControlTraffic(live.control).count([answered(Side.MONOLITH, 1, route="GET /old")])
    _age(live, 3)
    assert "the monolith answered GET /old 3 d ago" in str(_closed(live))
    _age(live, 5)
    assert _closed(live) is None
    with live.data._state() as state:
        state["refused"] = 1
    assert "refused 1 writes past the facade just now" in str(_closed(live))
    note_refused(live.control, PHASE, 1)
    assert "refused a write past the facade" in str(_closed(live))
    with live.data._state() as state:
        state["refused"] = 0
    assert live.control.phase(PHASE).stage is Stage.LIVE


def test_the_idle_gate_alone_can_be_waived_and_the_audit_log_keeps_why(live: World) -> None:
    live.controller.complete(PHASE, idle_waived="the last client is ours")
    with live.control.read() as connection:
        whats = {entry.what: entry.after for entry in latest(connection, 50)}
    assert whats["gate idle of search before complete waived"]["why"] == "the last client is ours"
    assert live.control.phase(PHASE).stage is Stage.COMPLETE


def test_no_other_gate_is_waived_with_it(tmp_path: Path) -> None:
    world = World(tmp_path, idle_days=7, gates="soak = { live = 3600 }")
    try:
        world.reach(Stage.LIVE)
        with pytest.raises(GateClosed) as closed:
            world.controller.complete(PHASE, idle_waived="impatience")
        assert [verdict.name for verdict in closed.value.verdicts] == ["soak"]
    finally:
        world.close()


def test_the_flags_of_a_complete_phase_are_gone(live: World) -> None:
    live.controller.complete(PHASE, idle_waived="a test")
    with live.control.read() as connection:
        assert live.controller._flags.list(within=connection) == []
