"""The lease: one holder at a time, taken over only from the dead, and useless to whoever lost it."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from migration.control import Control
from migration.errors import LeaseHeld, LeaseLost, RunUnfinished
from migration.journal import FINISHED, Journal
from migration.lease import Lease
from migration.schema.tables import leases
from tests.servers.unleash import until


@pytest.fixture
def control(tmp_path: Path):
    opened = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
    yield opened
    opened.close()


def run_out(control: Control) -> None:
    """As if the lease's time had passed without a renewal."""
    with control.write() as connection:
        connection.execute(update(leases).values(expires_at=1.0))


def has_run_out(control: Control) -> bool:
    with control.read() as connection:
        return connection.scalar(select(leases.c.expires_at)) == 1.0


def test_a_held_lease_names_its_holder(control: Control) -> None:
    with Lease.acquire(control, "search", "first"), pytest.raises(LeaseHeld, match="first") as caught:
        Lease.acquire(control, "search", "second")
    assert caught.value.holder == "first"


def test_leases_of_different_phases_do_not_meet(control: Control) -> None:
    with Lease.acquire(control, "search", "first"), Lease.acquire(control, "auth", "second"):
        pass


def test_a_released_lease_is_free_at_once_and_its_token_has_grown(control: Control) -> None:
    tokens = []
    for _ in range(3):
        with Lease.acquire(control, "search", "me") as lease:
            tokens.append(lease.token)
    assert tokens == [1, 2, 3]


def test_i2_a_lease_taken_over_fences_its_former_holder(control: Control) -> None:
    with Lease.acquire(control, "search", "slow", ttl=3600) as slow:
        journal = Journal(control)
        run = journal.begin(slow, "switch", {}, "ann")
        run_out(control)
        with Lease.acquire(control, "search", "quick") as quick:
            assert quick.token > slow.token
            with pytest.raises(LeaseLost):
                journal.enter(slow, run, 1, "hold", done=None)
            with pytest.raises(LeaseLost):
                journal.commit(slow, run)
            assert journal.entries(run.id) == []
            assert not journal.run(run.id).committed
            journal.enter(quick, run, 1, "hold", done=None)


def test_the_former_holders_release_does_not_free_the_new_ones_lease(control: Control) -> None:
    slow = Lease.acquire(control, "search", "slow", ttl=3600)
    run_out(control)
    with Lease.acquire(control, "search", "quick"):
        slow.release()
        with pytest.raises(LeaseHeld, match="quick"):
            Lease.acquire(control, "search", "third")


def test_a_living_holder_keeps_its_lease_beyond_its_time(control: Control) -> None:
    with Lease.acquire(control, "search", "alive"):
        run_out(control)
        until(lambda: not has_run_out(control))
        with pytest.raises(LeaseHeld, match="alive"):
            Lease.acquire(control, "search", "second")


def test_i7_the_journal_tells_a_run_from_its_steps(control: Control) -> None:
    journal = Journal(control)
    with Lease.acquire(control, "search", "me") as lease:
        run = journal.begin(lease, "switch", {"to": "service"}, "ann")
        journal.enter(lease, run, 3, "hold", done=None)
        journal.enter(lease, run, 4, "guard", done=("hold", {"revision": 7}))
        assert [pending.id for pending in journal.unfinished()] == [run.id]
        with pytest.raises(RunUnfinished, match="earlier switch"):
            journal.begin(lease, "switch", {}, "ann")
        journal.commit(lease, run)
        journal.end(lease, run, FINISHED, {"held_seconds": 0.1})
    ended = journal.run(run.id)
    assert (ended.committed, ended.outcome, ended.intent, ended.actor) == (
        True,
        FINISHED,
        {"to": "service"},
        "ann",
    )
    assert journal.unfinished() == []
    assert [(entry.step, entry.name, entry.state) for entry in journal.entries(run.id)] == [
        (3, "hold", "started"),
        (3, "hold", "done"),
        (4, "guard", "started"),
        (0, "switch", "finished"),
    ]
