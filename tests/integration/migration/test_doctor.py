import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa

from migration.doctor import Diagnosis, Level, diagnose
from migration.errors import MigrationError
from migration.plan import Plan


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Place:
    """A directory with a plan of one phase, whose two databases hold ``items``."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self.directory = directory
        self.monolith = upstream
        self.service = upstream
        self.extra = 'routing_key = "jwt:sub"'
        self.table = 'monolith = "items"'
        self.replica = ""
        self.create("monolith", "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        self.create("service", "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")

    def create(self, database: str, *statements: str) -> None:
        engine = sa.create_engine(f"sqlite:///{self.directory}/{database}.db")
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def diagnose(self, **phases: list[str]) -> list[Diagnosis]:
        file = self.directory / "strangler.toml"
        file.write_text(
            f"""
            [monolith]
            url = "{self.monolith}"
            database = "sqlite:///monolith.db"
            {self.replica}
            [[phases]]
            name = "items"
            {self.extra}
            routes = ["GET /items"]
            [phases.service]
            url = "{self.service}"
            database = "sqlite:///service.db"
            [[phases.tables]]
            {self.table}
            """
        )
        return diagnose(Plan.load(file), **phases)

    def failures(self) -> list[Diagnosis]:
        return [found for found in self.diagnose() if found.level is Level.FAIL]


@pytest.fixture
def place(tmp_path: Path, upstream: str) -> Place:
    return Place(tmp_path, upstream)


def test_a_plan_that_can_run_has_no_failures_and_nothing_is_changed(place: Place) -> None:
    found = place.diagnose()
    assert [each for each in found if each.level is Level.FAIL] == []
    assert {each.subject for each in found} >= {"monolith", "control database", "items: service"}
    assert any(each.text == "can be carried, and back" for each in found)
    assert sorted(file.name for file in place.directory.iterdir()) == [
        "monolith.db",
        "service.db",
        "strangler.toml",
    ]


def test_a_replica_from_which_no_check_can_read_is_a_failure(place: Place) -> None:
    place.replica = 'replica = "postgresql+psycopg://user@127.0.0.1:1/shop"'
    (failure,) = place.failures()
    assert failure.subject == "monolith replica"
    assert "only PostgreSQL has standbys; leave `replica` out" in failure.text


def test_whatever_is_not_ok_says_what_to_do(place: Place) -> None:
    place.extra = ""
    place.service = "http://127.0.0.1:1"
    assert all(found.remedy for found in place.diagnose() if found.level is not Level.OK)


@pytest.mark.parametrize("side", ["monolith", "service"])
def test_an_upstream_that_does_not_answer_is_a_failure(place: Place, side: str) -> None:
    setattr(place, side, "http://127.0.0.1:1")
    (failure,) = place.failures()
    assert side in failure.subject
    assert "http://127.0.0.1:1 does not answer" in failure.text


@pytest.mark.parametrize("side", ["monolith", "service"])
def test_a_database_that_is_not_there_is_a_failure(place: Place, side: str) -> None:
    (place.directory / f"{side}.db").unlink()
    (failure,) = place.failures()
    assert side in failure.subject
    assert "no database file" in failure.text
    assert not (place.directory / f"{side}.db").exists()


@pytest.mark.parametrize(
    ("database", "statements", "said"),
    [
        ("monolith", ["DROP TABLE items", "CREATE TABLE items (id INTEGER, name TEXT)"], "key"),
        ("monolith", ["DROP TABLE items"], "items"),
        ("service", ["DROP TABLE items"], "items"),
        ("service", ["ALTER TABLE items ADD COLUMN owner TEXT NOT NULL DEFAULT 'x'"], ""),
        (
            "service",
            [
                "DROP TABLE items",
                "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, owner TEXT NOT NULL)",
            ],
            "owner",
        ),
    ],
)
def test_a_table_that_cannot_be_carried_is_a_failure(
    place: Place, database: str, statements: list[str], said: str
) -> None:
    place.create(database, *statements)
    failures = place.failures()
    if said:
        (failure,) = failures
        assert failure.subject == "items: items → items"
        assert said in failure.text
    else:
        assert failures == []


@pytest.mark.parametrize(("null", "said"), [("NOT NULL", "but not back"), ("NULL", "back except for name")])
def test_a_mapping_that_cannot_run_backwards_is_a_warning(place: Place, null: str, said: str) -> None:
    place.create(
        "monolith", "DROP TABLE items", f"CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT {null})"
    )
    place.table = 'monolith = "items"\ncolumns = { name = { sql = "lower(name)" } }'
    (warning,) = [found for found in place.diagnose() if said in found.text]
    assert warning.level is Level.WARN
    assert "`reverse`" in warning.remedy


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('monolith = "itmes"', "Did you mean 'items'"),
        ('monolith = "items"\ncolumns = { nmae = "name" }', "Did you mean 'name'"),
        ('monolith = "items"\ncolumns = { name = { sql = "nonsense(" } }', ""),
        ('monolith = "items"\ncolumns = { name = { sql = "no_such_column" } }', "no_such_column"),
    ],
)
def test_a_section_that_does_not_fit_the_tables_is_a_failure(place: Place, table: str, said: str) -> None:
    place.table = table
    (failure,) = place.failures()
    assert said in failure.text


@pytest.mark.parametrize(("triggers", "said"), [("suppress", "sleep"), ("fire", "fire also")])
def test_a_tables_own_triggers_are_told_with_what_becomes_of_them(
    place: Place, triggers: str, said: str
) -> None:
    place.table += f'\ntriggers = "{triggers}"'
    place.create("service", "CREATE TRIGGER remove_stale AFTER DELETE ON items BEGIN SELECT 1; END")
    (warning,) = [found for found in place.diagnose() if "remove_stale" in found.text]
    assert warning.level is Level.WARN
    assert said in warning.text


def test_without_a_routing_key_a_cookie_keeps_reads_on_one_side(place: Place) -> None:
    place.extra = ""
    (found,) = [found for found in place.diagnose() if "routing key" in found.text]
    assert found.level is Level.OK
    assert "cookie" in found.text


def test_a_control_database_that_cannot_be_made_is_a_failure(place: Place) -> None:
    (place.directory / ".strangler").write_text("a file where the directory belongs")
    (failure,) = place.failures()
    assert failure.subject == "control database"


def test_only_the_phases_asked_for_are_examined(place: Place) -> None:
    place.service = "http://127.0.0.1:1"
    assert [found.level for found in place.diagnose(phases=[])] == [Level.OK, Level.OK]
    with pytest.raises(MigrationError, match="Did you mean 'items'"):
        place.diagnose(phases=["item"])


def test_an_outbox_is_told_what_it_does_not_see(place: Place) -> None:
    place.extra = 'capture = "outbox"'
    place.create(
        "monolith",
        "CREATE TRIGGER own AFTER INSERT ON items BEGIN UPDATE items SET name = '' WHERE id = NEW.id; END",
    )
    warned = {found.text: found for found in place.diagnose() if found.level is Level.WARN}
    [engine] = [found for text, found in warned.items() if "SQLAlchemy engine" in text]
    assert "outbox.install()" in engine.remedy
    assert any("items has triggers (own)" in text for text in warned)
