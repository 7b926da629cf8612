"""Writes by percentage from the command line: the share, what it shows, and rows that both sides changed."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from migration.cli import main
from tests.integration.migration.worlds import PHASE


class Phase:
    """A phase in ramp whose rows have keys that the application makes, and the command line."""

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
            [facade.timeouts]
            hold = 30
            [[phases]]
            name = "{PHASE}"
            routes = ["GET /items", "POST /items"]
            routing_key = "header:X-User"
            [phases.service]
            url = "http://127.0.0.1:2"
            database = "sqlite:///service.db"
            [[phases.tables]]
            monolith = "items"
            [phases.gates]
            min_samples = 0
            """
        )
        for side in ("monolith", "service"):
            self.execute(side, "CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL)")
        self.execute("monolith", "INSERT INTO items VALUES ('1', 'one'), ('2', 'two')")
        for command in ("sync", "check", "advance", "advance"):
            assert self.run(command, PHASE)[0] == 0

    def run(self, *arguments: str) -> tuple[int, Any]:
        """The exit code and the document of a command."""
        code, out = self.show(*arguments, "--json")
        return code, json.loads(out)

    def show(self, *arguments: str) -> tuple[int, str]:
        """The exit code and what people see."""
        self._monkeypatch.setattr(sys, "argv", ["strangler", *arguments, "--plan", str(self.plan)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), self._capsys.readouterr().out

    def execute(self, side: str, statement: str) -> None:
        with closing(sqlite3.connect(self.directory / f"{side}.db")) as connection, connection:
            connection.execute(statement)

    def rows(self, side: str) -> dict[str, str]:
        with closing(sqlite3.connect(self.directory / f"{side}.db")) as connection:
            return dict(connection.execute("SELECT id, name FROM items"))


@pytest.fixture
def phase(tmp_path, monkeypatch, capsys) -> Phase:
    return Phase(tmp_path, monkeypatch, capsys)


def test_a_share_is_set_shown_and_taken_back(phase: Phase) -> None:
    code, document = phase.run("ramp", PHASE, "--reads", "20", "--writes", "30")
    assert (code, document["reads"], document["writes"]) == (0, "20", "30")
    assert document["held_ms"] is not None
    [status] = phase.run("status")[1]["phases"]
    assert (status["split"], status["writer"], status["shares"]["writes"]) == (True, "monolith", 3000)
    assert "30 %" in phase.show("status")[1]
    assert "30 % of the routing keys" in phase.show("runbook", PHASE)[1]
    code, out = phase.show("ramp", PHASE, "--writes", "0")
    assert code == 0
    assert "0 % of the writes go to the service" in out
    [status] = phase.run("status")[1]["phases"]
    assert (status["split"], status["shares"]["writes"]) == (False, 0)
    assert phase.run("ramp", PHASE)[0] == 2


def test_no_flag_moves_writes(phase: Phase) -> None:
    assert phase.run("ramp", PHASE, "--writes", "30")[0] == 0
    for command in (("set", f"{PHASE}.writes", "0"), ("kill", f"{PHASE}.writes")):
        code, document = phase.run("flags", *command)
        assert code == 2
        assert f"strangler ramp {PHASE} --writes P" in document["message"]
    assert phase.run("flags", "kill", PHASE)[0] == 0
    [status] = phase.run("status")[1]["phases"]
    assert (status["split"], status["shares"]["writes"]) == (True, 3000)


def test_for_rows_that_both_sides_changed_a_side_is_named(phase: Phase) -> None:
    _, document = phase.run("check", PHASE, "--keep", "monolith")
    assert document["message"].startswith(f"phase '{PHASE}' has one writer, the monolith")
    assert phase.run("ramp", PHASE, "--writes", "50")[0] == 0
    for side in ("monolith", "service"):
        phase.execute(side, f"UPDATE items SET name = 'two, by the {side}' WHERE id = '2'")
    code, document = phase.run("check", PHASE)
    assert (code, document["findings"]) == (1, 1)
    parked = phase.run("status")[1]["phases"][0]["parked"]
    assert {(entry["table"], entry["key"], entry["error"]) for entry in parked} == {
        ("items", '["2"]', "both sides changed it, each without the other's change")
    }
    _, document = phase.run("check", PHASE, "--repair", "--apply")
    assert "--keep monolith" in document["message"]
    code, document = phase.run("ramp", PHASE, "--writes", "0")
    assert code == 2
    assert f"strangler check {PHASE} --keep monolith" in document["message"]

    code, document = phase.run("check", PHASE, "--keep", "service")
    assert (code, document["clean"]) == (0, True)
    assert phase.rows("monolith") == phase.rows("service") == {"1": "one", "2": "two, by the service"}
    assert phase.run("ramp", PHASE, "--writes", "0")[0] == 0


def test_i8_reads_go_back_at_once_even_while_rows_are_in_conflict(phase: Phase) -> None:
    assert phase.run("ramp", PHASE, "--reads", "100", "--writes", "50")[0] == 0
    for side in ("monolith", "service"):
        phase.execute(side, f"UPDATE items SET name = '{side}' WHERE id = '2'")
    assert phase.run("check", PHASE)[0] == 1
    assert phase.run("rollback", PHASE)[0] == 2
    [status] = phase.run("status")[1]["phases"]
    assert (status["stage"], status["shares"]) == ("ramp", {"reads": 0, "writes": 5000, "shadow": 10000})
