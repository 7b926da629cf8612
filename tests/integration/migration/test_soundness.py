"""Foreign keys of the monolith that cross databases are found by themselves, and followed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from migration.checking import check_phase
from migration.plan import Plan
from migration.soundness import Soundness, soundness
from migration.wiring import Wiring

PLAN = """
[monolith]
url = "http://127.0.0.1:1"
database = "sqlite:///monolith.db"

[[phases]]
name = "orders"
[phases.service]
url = "http://127.0.0.1:2"
database = "sqlite:///orders.db"
[[phases.tables]]
monolith = "orders"
service = "purchases"
columns = { buyer_id = "user_id" }
[[phases.tables]]
monolith = "currencies"
follow = true
[[phases.invariants]]
name = "as many orders"
monolith = "SELECT count(*) FROM orders"
service = "SELECT count(*) FROM purchases"
[[phases.invariants]]
name = "no order without a currency"
service = "SELECT count(*) FROM purchases WHERE currency_id IS NULL"
expect = 0
"""
MONOLITH = """
CREATE TABLE users (id INTEGER PRIMARY KEY);
CREATE TABLE currencies (id INTEGER PRIMARY KEY);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id),
                     currency_id INTEGER REFERENCES currencies (id));
CREATE TABLE invoices (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders (id),
                       user_id INTEGER REFERENCES users (id));
INSERT INTO users VALUES (1), (2);
INSERT INTO currencies VALUES (1);
INSERT INTO orders VALUES (10, 1, 1), (11, 2, 1), (12, NULL, 1);
INSERT INTO invoices VALUES (100, 10, 1), (101, 12, 2);
"""
SERVICE = """
CREATE TABLE currencies (id INTEGER PRIMARY KEY);
CREATE TABLE purchases (id INTEGER PRIMARY KEY, buyer_id INTEGER, currency_id INTEGER);
"""


@pytest.fixture
def wiring(tmp_path: Path) -> Iterator[Wiring]:
    run(tmp_path / "monolith.db", MONOLITH)
    run(tmp_path / "orders.db", SERVICE)
    (tmp_path / "strangler.toml").write_text(PLAN)
    wiring = Wiring(Plan.load(tmp_path / "strangler.toml"))
    wiring.controller.sync("orders", lambda _: None, lambda: False)
    yield wiring
    wiring.close()


def run(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def look(wiring: Wiring) -> Soundness:
    with wiring.replicating("orders") as replication:
        return soundness(wiring, "orders", replication.mappings, None)


def test_references_from_and_to_moved_tables_are_followed(wiring: Wiring) -> None:
    found = look(wiring)
    assert {str(each.reference): each.values for each in found.references} == {
        "purchases(buyer_id) → users(id)": 2,
        "purchases(currency_id) → currencies(id)": 1,
        "invoices(order_id) → purchases(id)": 2,
    }
    assert found.problems == 0


def test_a_check_names_orphans_and_broken_invariants_and_is_not_clean(wiring: Wiring) -> None:
    directory = wiring.plan.directory
    run(directory / "monolith.db", "DELETE FROM users WHERE id = 2")
    report = check_phase(wiring, "orders")
    assert not report.clean
    assert report.findings == []
    [orphaned] = [each for each in report.soundness.references if each.orphans]
    assert (str(orphaned.reference), orphaned.shown) == ("purchases(buyer_id) → users(id)", "2")
    run(
        directory / "monolith.db",
        "INSERT INTO users VALUES (2); UPDATE orders SET currency_id = NULL WHERE id = 12",
    )
    report = check_phase(wiring, "orders")
    assert [each.name for each in report.soundness.broken] == ["no order without a currency"]
    assert not report.clean


def test_a_clean_check_says_that_it_looked(wiring: Wiring) -> None:
    report = check_phase(wiring, "orders")
    assert report.clean
    assert report.soundness.covers == "3 references between databases with 5 values, 2 invariants"
    assert len(report.to_json()["references"]) == 3
