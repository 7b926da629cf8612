"""`strangler check --repair`: planned first, carried out when asked, and taken back by hand if need be."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migration.cli import main

PHASE = "items"


class Sides:
    """A phase in dual_write with three rows, and the command line."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.plan = directory / "strangler.toml"
        self.plan.write_text(
            f"""
            [monolith]
            url = "http://127.0.0.1:1"
            database = "sqlite:///monolith.db"
            [[phases]]
            name = "{PHASE}"
            routes = ["GET /items"]
            [phases.service]
            url = "http://127.0.0.1:2"
            database = "sqlite:///service.db"
            [[phases.tables]]
            monolith = "items"
            """
        )
        for side in ("monolith", "service"):
            self.execute(side, "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        self.execute("monolith", "INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        assert self.run("sync", PHASE)[0] == 0

    def run(self, *arguments: str) -> tuple[int, Any]:
        """The exit code and the document of a command."""
        command = ["strangler", *arguments, "--plan", str(self.plan), "--json"]
        self._monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), json.loads(self._capsys.readouterr().out)

    def execute(self, side: str, *statements: str) -> None:
        with closing(sqlite3.connect(self.directory / f"{side}.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def damage(self, *statements: str) -> None:
        """Change the service's rows past its guard, as a mistake in replication would."""
        mark = "INSERT INTO strangler_session (origin) VALUES ('mistake')"
        self.execute("service", mark, *statements, "DELETE FROM strangler_session")

    def rows(self) -> dict[int, str]:
        with closing(sqlite3.connect(self.directory / "service.db")) as connection:
            return dict(connection.execute("SELECT id, name FROM items"))


@pytest.fixture
def sides(tmp_path, monkeypatch, capsys) -> Sides:
    return Sides(tmp_path, monkeypatch, capsys)


MISTAKES = (
    "UPDATE items SET name = 'eins' WHERE id = 1",
    "DELETE FROM items WHERE id = 2",
    "INSERT INTO items VALUES (9, 'nine')",
)


def test_nothing_is_mended_where_nothing_differs(sides: Sides) -> None:
    code, report = sides.run("check", PHASE, "--repair", "--apply")
    assert (code, report["clean"], report["repair"]) == (0, True, None)


def test_a_repair_is_planned_then_applied_and_checked_again(sides: Sides) -> None:
    sides.damage(*MISTAKES)
    damaged = sides.rows()

    code, report = sides.run("check", PHASE, "--repair")
    assert (code, report["findings"]) == (1, 3)
    assert (len(report["repair"]["statements"]), report["repair"]["applied"]) == (3, 0)
    assert sides.rows() == damaged

    code, report = sides.run("check", PHASE, "--repair", "--apply")
    assert (code, report["clean"]) == (0, True)
    assert (report["repair"]["applied"], report["repair"]["failed"]) == (3, [])
    assert sides.rows() == {1: "one", 2: "two", 3: "three"}

    [undo] = map(Path, report["repair"]["undo"])
    assert undo.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(sides.directory / "service.db")) as connection:
        connection.executescript(undo.read_text())
    assert sides.rows() == damaged


def test_i9_a_repair_shows_no_values(sides: Sides) -> None:
    sides.damage(*MISTAKES)
    _, report = sides.run("check", PHASE, "--repair")
    assert not any(value in json.dumps(report) for value in ("eins", "nine", "'two'"))


def test_more_deletes_than_allowed_are_refused(sides: Sides) -> None:
    sides.damage(*MISTAKES)
    damaged = sides.rows()
    code, told = sides.run("check", PHASE, "--repair", "--apply", "--max-deletes", "0")
    assert (code, told["error"]) == (2, "RepairRefused")
    assert sides.rows() == damaged


def test_one_table_may_be_checked_alone(sides: Sides) -> None:
    assert sides.run("check", PHASE, "--table", "items")[0] == 0
    code, told = sides.run("check", PHASE, "--table", "itmes")
    assert code == 2
    assert "items" in told["message"]


def test_what_is_planned_can_be_carried_out_as_sql(sides: Sides) -> None:
    sides.damage(*MISTAKES)
    _, report = sides.run("check", PHASE, "--repair", "--script")
    [script] = map(Path, report["repair"]["scripts"])
    assert script.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(sides.directory / "service.db")) as connection:
        connection.executescript(script.read_text())
    assert sides.rows() == {1: "one", 2: "two", 3: "three"}
    assert sides.run("check", PHASE)[0] == 0
