"""Workers: what they report, who counts as alive, and how the control plane waits for them."""

import time
from pathlib import Path

import pytest
from sqlalchemy import update

from facade.ports import WorkerStatus
from migration.control import Control
from migration.errors import WorkersLate
from migration.schema.tables import workers as table
from migration.workers import ControlWorkers


@pytest.fixture
def control(tmp_path: Path):
    opened = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
    yield opened
    opened.close()


def status(worker: str, revision: int = 5, holding: tuple[str, ...] = (), **in_flight: int) -> WorkerStatus:
    return WorkerStatus(worker, "here", 1, revision, frozenset(holding), in_flight, None)


def now() -> float:
    return time.monotonic()


def test_a_report_replaces_the_one_before_and_raises_no_revision(control: Control) -> None:
    workers = ControlWorkers(control)
    workers.report(status("w1", 4))
    workers.report(status("w1", 5, ("search",), search=2))
    [live] = workers.live_workers()
    assert live.status == status("w1", 5, ("search",), search=2)
    assert control.revision() == 0


def test_the_dead_and_the_retired_are_not_waited_for(control: Control) -> None:
    workers = ControlWorkers(control)
    workers.report(status("dead", 1))
    with control.write() as connection:
        connection.execute(update(table).values(seen_at=time.time() - 4))
    workers.report(status("gone", 1))
    workers.retire("gone")
    workers.report(status("w1", 5))
    workers.wait_for_revision(5, now())
    assert [live.status.worker for live in workers.live_workers()] == ["w1"]


def test_nobody_to_wait_for(control: Control) -> None:
    ControlWorkers(control).wait_for_fence("search", 9, now())


def test_a_worker_behind_is_named(control: Control) -> None:
    workers = ControlWorkers(control)
    workers.report(status("w1", 6))
    workers.report(status("w2", 5))
    with pytest.raises(WorkersLate, match="w2 did not take up revision 6 in time"):
        workers.wait_for_revision(6, now())


@pytest.mark.parametrize(
    "late",
    [
        status("w1", 4, ("search",)),
        status("w1", 5),
        status("w1", 5, ("other",)),
        status("w1", 5, ("search",), search=1),
    ],
    ids=["old revision", "not holding", "holding another phase", "write in flight"],
)
def test_i1_the_fence_stands_only_when_a_worker_holds_and_has_nothing_in_flight(control, late) -> None:
    workers = ControlWorkers(control)
    workers.report(late)
    with pytest.raises(WorkersLate):
        workers.wait_for_fence("search", 5, now())
    workers.report(status("w1", 5, ("search",), search=0, other=3))
    workers.wait_for_fence("search", 5, now())
