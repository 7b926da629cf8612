"""Fifty checks while a client writes by the thousand and the relay carries it over."""

from contextlib import suppress
from random import Random

import pytest

from dual_write.check import FULL_SPEED, POLITE, run_check
from dual_write.errors import LockedError
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped
from tests.integration.dual_write.test_check_live import corrupt, running

ACCOUNT = mapped("account", ("id",), "balance", "note")
FLOW = ACCOUNT.towards(Side.SERVICE)
RUNS = 50
DAMAGED = range(0, RUNS, 5)
ROWS = 5_000
# Behind all that the client writes to, so that damage done while the check begins lies ahead of it, by more
# ranges than are asked for at a time.
STILL = range(20_000, 20_100)
TOGETHER = 25


class Client:
    """Changes, removes and adds rows, a batch in each transaction; ``written`` counts them."""

    def __init__(self, pair: Pair) -> None:
        self.written = 0
        self._pair = pair
        self._random = Random(7)

    def __call__(self) -> None:
        first = self._random.randrange(ROWS - TOGETHER)
        batch = f"id BETWEEN {first} AND {first + TOGETHER - 1}"
        added = f"SELECT i, 0, 'new' FROM generate_series({first}, {first + TOGETHER - 1}) AS i"
        statement = self._random.choice(
            [
                f"UPDATE account SET balance = balance + 1, note = md5(random()::text) WHERE {batch}",
                f"DELETE FROM account WHERE {batch} AND mod(id, 3) = 0",
                f"INSERT INTO account {added} ON CONFLICT (id) DO UPDATE SET note = 'again'",
            ]
        )
        with self._pair.monolith.engine.begin() as connection:
            count = connection.exec_driver_sql(statement).rowcount
        self.written += count


@pytest.fixture
def loaded(postgresql_pair: Pair):
    pair = postgresql_pair
    pair.define("CREATE TABLE account (id integer PRIMARY KEY, balance integer NOT NULL, note text)")
    pair.monolith.run(
        f"INSERT INTO account SELECT i, 0, 'first' FROM generate_series(0, {ROWS - 1}) AS i",
        f"INSERT INTO account SELECT i, 0, 'still' FROM generate_series({STILL[0]}, {STILL[-1]}) AS i",
    )
    replication = pair.started(ACCOUNT)
    relay = pair.replication(ACCOUNT)
    client = Client(pair)

    def step() -> None:
        with suppress(LockedError):
            relay.step(Side.SERVICE)

    with running(client, step):
        yield pair, replication, client


def test_fifty_checks_under_load_find_all_damage_and_nothing_else(loaded):
    pair, replication, client = loaded
    random = Random(9)
    for number in range(RUNS):
        damage = [random.choice(STILL)] if number in DAMAGED else []

        def harm(*_, damage=damage) -> None:
            for key in damage:
                corrupt(pair, f"UPDATE account SET note = 'wrong' WHERE id = {key}")
            damage.clear()

        wrong = [(key,) for key in damage]
        before = client.written
        result = run_check(
            pair.monolith.engine,
            pair.service.engine,
            [FLOW],
            settle=lambda: replication.settle(Side.SERVICE, 60.0),
            progress=harm,
            chunk_rows=1_000,
            manners=FULL_SPEED if number % 2 else POLITE,
            changes=replication.changes(Side.SERVICE),
        )
        assert [finding.key for finding in result.findings] == wrong, f"run {number}"
        assert client.written > before, "nothing was written meanwhile"
        for (key,) in wrong:
            corrupt(pair, f"UPDATE account SET note = 'still' WHERE id = {key}")
