"""PostgreSQL users who own their tables and are nothing more."""

from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from dual_write.resolve import TableSpec, resolve
from flags.side import Side
from tests.integration.dual_write.conftest import Database, Pair, mapped, settle, switch


@pytest.fixture
def owners(postgresql_pair: Pair) -> Iterator[Pair]:
    name = "owner_" + postgresql_pair.monolith.url.rpartition("_")[2]
    plain = []
    for number, database in enumerate((postgresql_pair.monolith, postgresql_pair.service)):
        role = f"{name}_{number}"
        database.run(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", f"GRANT ALL ON SCHEMA public TO {role}")
        [(current,)] = database.query("SELECT current_database()")
        database.run(f'GRANT CREATE ON DATABASE "{current}" TO {role}')
        url = make_url(database.url).set(username=role, password="x")
        plain.append(Database(url.render_as_string(hide_password=False)))
    pair = Pair(*plain)
    yield pair
    for replication in pair.made:
        replication.dispose()
    for number, (own, database) in enumerate(
        zip(plain, (postgresql_pair.monolith, postgresql_pair.service), strict=True)
    ):
        own.engine.dispose()
        database.run(f"DROP OWNED BY {name}_{number} CASCADE", f"DROP ROLE {name}_{number}")


def test_foreign_triggers_sleep_and_references_are_met_without_superusers_rights(owners: Pair) -> None:
    owners.define(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, n TEXT UNIQUE)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, "
        "pid INTEGER REFERENCES parents ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE seen (id INTEGER)",
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NULL; END'",
        "CREATE TRIGGER see AFTER INSERT ON parents FOR EACH ROW EXECUTE FUNCTION see()",
    )
    replication = owners.started(mapped("children", ("id",), "pid"), mapped("parents", ("id",), "n"))
    owners.monolith.run(
        "INSERT INTO parents VALUES (1, 'a'), (2, 'b')", "INSERT INTO children VALUES (1, 1), (2, 2)"
    )
    owners.monolith.run("DELETE FROM parents WHERE id = 1")
    settle(replication)
    for table in ("parents", "children"):
        assert owners.monolith.query(f"SELECT * FROM {table}") == owners.service.query(
            f"SELECT * FROM {table}"
        )
    assert owners.service.query("SELECT count(*) FROM seen") == [(0,)]
    switch(replication, Side.SERVICE, 2)
    owners.service.run("INSERT INTO parents VALUES (3, 'c')")
    assert owners.service.query("SELECT id FROM seen") == [(3,)]
    assert settle(replication, Side.MONOLITH) == 1
    replication.uninstall()


def test_references_between_the_parts_of_a_split_table_are_met_without_superusers_rights(
    owners: Pair,
) -> None:
    owners.monolith.run("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, street TEXT)")
    owners.service.run(
        "CREATE TABLE addresses (customer_id INTEGER PRIMARY KEY, street TEXT)",
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)",
        "ALTER TABLE addresses ADD FOREIGN KEY (customer_id) REFERENCES customers",
    )
    mappings = resolve(
        [
            TableSpec("customers"),
            TableSpec("customers", "addresses", columns={"customer_id": "id"}, optional=True),
        ],
        owners.monolith.engine,
        owners.service.engine,
    )
    owners.monolith.run("INSERT INTO customers VALUES (1, 'a', 's'), (2, 'b', NULL)")
    replication = owners.started(*mappings)
    owners.monolith.run(
        "INSERT INTO customers VALUES (3, 'c', 't')",
        "UPDATE customers SET street = 'u' WHERE id = 2",
        "DELETE FROM customers WHERE id = 1",
    )
    while replication.step(Side.SERVICE, 1):
        assert replication.parked(Side.SERVICE) == []
    assert owners.rows(Side.SERVICE, "addresses") == [(2, "u"), (3, "t")]
    assert owners.rows(Side.SERVICE, "customers") == [(2, "b"), (3, "c")]
    switch(replication, Side.SERVICE, 2)
    owners.service.run(
        "INSERT INTO customers VALUES (4, 'd')",
        "INSERT INTO addresses VALUES (4, 'v')",
        "DELETE FROM addresses WHERE customer_id = 2",
    )
    while replication.step(Side.MONOLITH, 1):
        assert replication.parked(Side.MONOLITH) == []
    assert owners.rows(Side.MONOLITH, "customers") == [(2, "b", None), (3, "c", "t"), (4, "d", "v")]
    switch(replication, Side.MONOLITH, 3)
    replication.uninstall()
