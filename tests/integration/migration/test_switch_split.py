"""A whole switch there and back for a table that the service keeps as two, while clients write."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from dual_write.check import run_check
from dual_write.database import open_engine
from dual_write.errors import FencedError
from dual_write.flows import flows
from flags.side import Side
from migration.checking import check_phase
from migration.plan import Plan
from migration.rechecking import recheck
from migration.relaying import directions
from migration.stages import Stage
from migration.wiring import Wiring

PHASE = "customers"
ADDRESSES = "customer_id INTEGER PRIMARY KEY REFERENCES customers, street TEXT, city TEXT"
TABLES = {
    Side.MONOLITH: ["CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, street TEXT, city TEXT)"],
    Side.SERVICE: [
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)",
        f"CREATE TABLE addresses ({ADDRESSES})",
    ],
}
WRITES = {
    Side.MONOLITH: ["INSERT INTO customers VALUES ({0}, 'n{0}', 's{0}', 'c{0}')"],
    Side.SERVICE: [
        "INSERT INTO customers VALUES ({0}, 'n{0}')",
        "INSERT INTO addresses VALUES ({0}, 's{0}', 'c{0}')",
    ],
}
READ = {
    Side.MONOLITH: "SELECT id, name, street, city FROM customers",
    Side.SERVICE: "SELECT id, name, street, city FROM customers JOIN addresses ON customer_id = id",
}


def plan(directory: Path, urls: dict[Side, str]) -> Plan:
    (directory / "strangler.toml").write_text(
        f"""
        [monolith]
        url = "http://127.0.0.1:8000"
        database = "{urls[Side.MONOLITH]}"
        [facade.timeouts]
        hold = 30
        [[phases]]
        name = "{PHASE}"
        [phases.service]
        url = "http://127.0.0.1:8001"
        database = "{urls[Side.SERVICE]}"
        [[phases.tables]]
        monolith = "customers"
        [[phases.tables]]
        monolith = "customers"
        service = "addresses"
        columns = {{ customer_id = "id" }}
        [phases.gates]
        min_samples = 0
        max_lag_seconds = 600
        """
    )
    return Plan.load(directory / "strangler.toml")


class Clients:
    """Write customers one after the other to whichever side takes them, and remember which were taken."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._write, self._relay)]
        self.taken: dict[Side, set[int]] = {side: set() for side in Side}
        self.failures: list[Exception] = []

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, side: Side, number: int) -> None:
        ended = threading.Event()
        wanted = len(self.taken[side]) + number
        for _ in range(3000):
            if len(self.taken[side]) >= wanted or self.failures:
                break
            ended.wait(0.01)
        assert len(self.taken[side]) >= wanted, self.failures

    def _write(self) -> None:
        number = 0
        with self._wiring.engines(PHASE, Side.SERVICE) as engines:
            while not self._ending.wait(0.002):
                number += 1
                for side, engine in zip(Side, engines, strict=True):
                    try:
                        with engine.begin() as connection:
                            for statement in WRITES[side]:
                                connection.exec_driver_sql(statement.format(number))
                    except DBAPIError as refused:
                        if "owned by" in str(refused) or "locked" in str(refused):
                            continue
                        self.failures.append(refused)
                        break
                    self.taken[side].add(number)
                    break

    def _relay(self) -> None:
        with self._wiring.replicating(PHASE) as replication:
            while not self._ending.wait(0.002):
                for to in directions(self._wiring.control.phase(PHASE), follows=False):
                    try:
                        replication.step(to, 10)
                    except FencedError:
                        continue


@pytest.fixture(params=["sqlite", "postgresql"])
def wiring(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Wiring]:
    urls = {side: f"sqlite:///{tmp_path / side}.db" for side in Side}
    if request.param == "postgresql":
        create: Callable[[], str] = request.getfixturevalue("postgresql_database")
        urls = {side: create() for side in Side}
    for side, url in urls.items():
        engine = open_engine(url)
        with engine.begin() as connection:
            if request.param == "sqlite":
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            for statement in TABLES[side]:
                connection.exec_driver_sql(statement)
        engine.dispose()
    made = Wiring(plan(tmp_path, urls))
    yield made
    made.close()


def rows(engine: Any, side: Side) -> set[tuple[Any, ...]]:
    with engine.connect() as connection:
        return {tuple(row) for row in connection.exec_driver_sql(READ[side])}


def test_the_check_at_the_fence_sees_each_part(wiring: Wiring) -> None:
    assert wiring.controller.sync(PHASE, lambda _: None, lambda: False)
    with wiring.replicating(PHASE) as replication, wiring.engines(PHASE, Side.SERVICE) as engines:
        monolith, service = engines
        with monolith.begin() as connection:
            for number in (1, 2, 3):
                connection.exec_driver_sql(WRITES[Side.MONOLITH][0].format(number))
        assert replication.settle(Side.SERVICE, 10)
        replication.unguard(Side.SERVICE, 5.0)
        with service.begin() as connection:
            connection.exec_driver_sql("UPDATE addresses SET city = 'elsewhere' WHERE customer_id = 2")
            connection.exec_driver_sql("DELETE FROM addresses WHERE customer_id = 3")
        with recheck(replication, monolith, service, Side.SERVICE) as differing:
            assert sorted(differing(time.monotonic() + 10)) == [
                "addresses [2] is different",
                "addresses [3] is missing",
            ]


def test_i2_a_split_table_goes_live_and_comes_back_under_writes(wiring: Wiring) -> None:
    controller = wiring.controller
    assert controller.sync(PHASE, lambda _: None, lambda: False)
    with Clients(wiring) as clients:
        clients.wait_for(Side.MONOLITH, 20)
        assert check_phase(wiring, PHASE).clean
        while wiring.control.phase(PHASE).stage is not Stage.LIVE:
            controller.advance(PHASE)
        clients.wait_for(Side.SERVICE, 20)
        controller.rollback(PHASE)
        clients.wait_for(Side.MONOLITH, 20)
    assert clients.failures == []
    with wiring.replicating(PHASE) as replication:
        assert replication.settle(Side.SERVICE, 10)
        mappings = replication.mappings
        taken = {
            (number, f"n{number}", f"s{number}", f"c{number}")
            for each in Side
            for number in clients.taken[each]
        }
        with wiring.engines(PHASE, Side.SERVICE) as (monolith, service):
            assert rows(monolith, Side.MONOLITH) == taken
            assert rows(service, Side.SERVICE) == taken
            assert run_check(monolith, service, flows(mappings, Side.SERVICE)).clean
            assert run_check(service, monolith, flows(mappings, Side.MONOLITH)).clean
