"""The check while a client writes and the relay carries it over: no false finding, no corruption missed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pytest

from dual_write.check import FULL_SPEED, run_check
from dual_write.errors import LockedError
from dual_write.repair import apply_repair, plan_repair
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped

ACCOUNT = mapped("account", ("id",), "balance", "note")
FLOW = ACCOUNT.towards(Side.SERVICE)
# Rows that the client leaves alone, so that nothing but a repair mends them.
STILL = range(1000, 1010)


@contextmanager
def running(*loops) -> Iterator[None]:
    """Each loop again and again in a thread of its own; what one raises is raised here."""
    stop = threading.Event()
    raised: list[Exception] = []

    def run(loop) -> None:
        try:
            # With no pause at all SQLite's one lock would go round among few.
            while not stop.wait(0.002):
                loop()
        except Exception as error:  # noqa: BLE001 - shown by the thread that started it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert raised == []


def client(pair: Pair, random: Random):
    def write() -> None:
        key = random.randrange(200)
        pair.monolith.run(
            random.choice(
                [
                    f"UPDATE account SET balance = balance + 1, note = 'n{random.random()}' WHERE id = {key}",
                    f"DELETE FROM account WHERE id = {key}",
                    f"INSERT INTO account VALUES ({key}, 0, NULL) ON CONFLICT (id) DO NOTHING",
                ]
            )
        )

    return write


def corrupt(pair: Pair, *statements: str) -> None:
    """Past the guard, as a bug in the service's own migration would be."""
    with pair.service.transaction() as run:
        if pair.service.is_postgresql:
            run("SET LOCAL strangler.origin = 'corruption'")
        else:
            run("INSERT INTO strangler_session (origin) VALUES ('corruption')")
        for statement in statements:
            run(statement)
        if not pair.service.is_postgresql:
            run("DELETE FROM strangler_session")


@pytest.fixture
def live(pair: Pair):
    """Rows on both sides, a client and a relay at work, and a `settle` of its own."""
    pair.define("CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL, note text)")
    pair.monolith.run(*(f"INSERT INTO account VALUES ({key}, 0, 'still')" for key in (*range(200), *STILL)))
    replication = pair.started(ACCOUNT)
    relay = pair.replication(ACCOUNT)

    def step() -> None:
        with suppress(LockedError):
            relay.step(Side.SERVICE)

    with running(client(pair, Random(5)), step):
        yield pair, lambda: replication.settle(Side.SERVICE, 30.0)


def check(pair: Pair, settle):
    return run_check(
        pair.monolith.engine, pair.service.engine, [FLOW], settle=settle, chunk_rows=60, manners=FULL_SPEED
    )


def test_no_finding_is_false_and_no_corruption_is_missed(live):
    pair, settle = live
    for _ in range(3):
        assert check(pair, settle).findings == ()
    corrupt(
        pair,
        "UPDATE account SET balance = 1 WHERE id = 1001",
        "UPDATE account SET note = '' WHERE id = 1002",
        "DELETE FROM account WHERE id = 1003",
        "INSERT INTO account VALUES (5000, 0, NULL)",
    )
    findings = check(pair, settle).findings
    assert {(each.kind.value, each.key, each.columns) for each in findings} == {
        ("different", (1001,), ("balance",)),
        ("different", (1002,), ("note",)),
        ("missing", (1003,), ()),
        ("extra", (5000,), ()),
    }

    plan = plan_repair(pair.monolith.engine, pair.service.engine, [FLOW], findings, max_deletes=1)
    outcome = apply_repair(pair.service.engine, [FLOW], plan)
    assert (len(outcome.applied), outcome.failed) == (4, ())
    assert check(pair, settle).findings == ()


def test_i4_a_repair_is_no_change_of_the_services_own(live):
    pair, settle = live
    corrupt(pair, "DELETE FROM account WHERE id = 1005")
    findings = check(pair, settle).findings
    plan = plan_repair(pair.monolith.engine, pair.service.engine, [FLOW], findings, max_deletes=0)
    assert len(apply_repair(pair.service.engine, [FLOW], plan).applied) == 1
    logged = pair.service.query(
        f"SELECT count(*) FROM {'strangler.change' if pair.service.is_postgresql else 'strangler_change'}"
    )
    assert logged == [(0,)]
