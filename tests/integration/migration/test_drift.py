"""Schema drift as the operator meets it: in status, at the gates, and from the doctor."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dual_write.database import open_engine
from flags.side import Side
from migration.doctor import Level, diagnose
from migration.errors import GateClosed
from migration.relaying import relay
from migration.stages import Stage
from migration.status import read_status
from migration.wiring import Wiring

PLAN = """
[monolith]
url = "http://127.0.0.1:9"
database = "sqlite:///monolith.db"
[[phases]]
name = "shop"
routes = ["POST /items"]
[phases.service]
url = "http://127.0.0.1:9"
database = "sqlite:///service.db"
[[phases.tables]]
monolith = "items"
[[phases.tables]]
monolith = "tags"
[phases.gates]
min_samples = 0
"""


class Shop:
    """A phase of two tables in the stage shadow."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for side in Side:
            for table in ("items", "tags"):
                self.run(side, f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, name TEXT)")
        (directory / "strangler.toml").write_text(PLAN)
        self.wiring = Wiring.load(directory / "strangler.toml")
        assert self.wiring.controller.sync("shop", lambda _: None, lambda: False)
        self.wiring.controller.advance("shop")

    def run(self, side: Side, statement: str) -> None:
        engine = open_engine(f"sqlite:///{self.directory}/{side}.db")
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def rows(self, table: str) -> list[tuple[object, ...]]:
        """The service's."""
        engine = open_engine(f"sqlite:///{self.directory}/service.db")
        with engine.connect() as connection:
            found = [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}")]
        engine.dispose()
        return found

    def until(self, table: str, rows: list[tuple[object, ...]]) -> None:
        deadline = time.monotonic() + 60
        while self.rows(table) != rows:
            assert time.monotonic() < deadline, self.rows(table)
            time.sleep(0.05)

    def told(self) -> list[str]:
        """What `strangler status` says."""
        replication = self.wiring.standing("shop")
        try:
            [phase] = read_status(self.wiring.plan, self.wiring.control, {"shop": replication}).phases
        finally:
            replication.dispose()
        return [f"{drift.table} {drift.blocks}: {drift.text}" for drift in phase.drift]

    def diagnosed(self) -> dict[str, Level]:
        return {
            found.text: found.level
            for found in diagnose(self.wiring.plan)
            if found.subject == "shop: schema drift"
        }

    def closed(self) -> list[str]:
        with pytest.raises(GateClosed) as failure:
            self.wiring.controller.advance("shop")
        return [gate.name for gate in failure.value.verdicts if not gate.open]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.wiring.close()


def test_a_new_column_closes_the_gate_until_it_is_decided_on(shop: Shop) -> None:
    assert not shop.told()
    assert not shop.diagnosed()
    shop.run(Side.MONOLITH, "ALTER TABLE items ADD COLUMN colour TEXT")
    [said] = shop.told()
    assert "items False: the monolith's table 'items' has a new column 'colour'" in said
    assert list(shop.diagnosed().values()) == [Level.WARN]
    assert "schema" in shop.closed()
    assert shop.wiring.controller.sync("shop", lambda _: None, lambda: False)
    assert not shop.told()
    assert "schema" not in shop.closed()


def test_a_lost_column_is_named_by_a_process_that_starts_after_it_was_lost(shop: Shop) -> None:
    shop.run(Side.MONOLITH, "ALTER TABLE items RENAME COLUMN name TO title")
    shop.run(Side.SERVICE, "CREATE TABLE unrelated (id INTEGER)")
    said = shop.told()
    assert any("items True" in each and "'name'" in each for each in said), said
    assert Level.FAIL in shop.diagnosed().values()
    assert "schema" in shop.closed()
    replication = shop.wiring.standing("shop")
    shop.run(Side.MONOLITH, "INSERT INTO items VALUES (1, 'a')")
    shop.run(Side.MONOLITH, "INSERT INTO tags VALUES (1, 'a')")
    while replication.step(Side.SERVICE):
        pass
    assert [entry.table for entry in replication.parked(Side.SERVICE)] == ["items"]
    assert replication.accounts(Side.SERVICE).applied == 1
    replication.dispose()
    shop.run(Side.MONOLITH, "ALTER TABLE items RENAME COLUMN title TO name")
    assert not shop.told()
    assert not shop.diagnosed()


def test_i2_a_relay_that_starts_beside_a_broken_table_carries_the_others_and_comes_round(shop: Shop) -> None:
    shop.run(Side.MONOLITH, "ALTER TABLE items RENAME TO things")
    shop.run(Side.MONOLITH, "INSERT INTO things VALUES (1, 'a')")
    shop.run(Side.MONOLITH, "INSERT INTO tags VALUES (1, 'a')")
    ending = threading.Event()
    running = threading.Thread(target=relay, args=(shop.wiring, ["shop"], ending, lambda: None))
    running.start()
    try:
        shop.until("tags", [(1, "a")])
        assert shop.rows("items") == []
        shop.run(Side.MONOLITH, "ALTER TABLE things RENAME TO items")
        shop.until("items", [(1, "a")])
    finally:
        ending.set()
        running.join()
    assert not shop.told()


def test_a_complete_phase_expects_nothing(shop: Shop) -> None:
    replication = shop.wiring.replication("shop")
    replication.retire()
    assert not replication.drift(Side.MONOLITH)
    replication.dispose()
    assert shop.wiring.control.phase("shop").stage is Stage.SHADOW
