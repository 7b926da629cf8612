"""The command line on plans and servers that are not as they should be: one message, no traceback, exit 2."""

import io
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from facade.override import Overrides
from flags.side import Side
from migration.cli import main
from migration.control import Control
from migration.demo.processes import free_port
from migration.lease import Lease
from migration.stages import Stage

PHASE = "search"
TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What an error told, on one line."""
        assert "Traceback" not in self.err
        return " ".join(self.err.split())


class Place:
    """A directory with a plan of one phase and its two databases, and the command line in it."""

    def __init__(self, directory: Path, run: Callable[..., Outcome]) -> None:
        self.directory = directory
        self.plan = directory / "strangler.toml"
        self.run = run
        self.write()
        for side in ("monolith", "service"):
            self.create(side, TABLE)

    def write(self, *, phase: str = "", table: str = "", more: str = "", **values: str) -> None:
        """Write the plan, with lines added to the phase, to its table, or at the end."""
        monolith = values.get("monolith", "sqlite:///monolith.db")
        service = values.get("service", "sqlite:///service.db")
        self.plan.write_text(
            "\n".join(
                (
                    "[monolith]",
                    f'url = "http://127.0.0.1:{free_port()}"',
                    f'database = "{monolith}"',
                    "[facade.timeouts]",
                    "hold = 30",
                    "[[phases]]",
                    f'name = "{PHASE}"',
                    'routes = ["GET /items", "POST /items"]',
                    phase,
                    "[phases.service]",
                    f'url = "http://127.0.0.1:{free_port()}"',
                    f'database = "{service}"',
                    "[[phases.tables]]",
                    'monolith = "items"',
                    table,
                    more,
                )
            )
        )

    def line_of(self, text: str) -> int:
        lines = self.plan.read_text().splitlines()
        return next(number for number, line in enumerate(lines, 1) if text in line)

    def create(self, side: str, statement: str) -> None:
        """Put a table into a database in place of the one that is there."""
        with closing(sqlite3.connect(self.directory / f"{side}.db")) as connection:
            connection.execute("DROP TABLE IF EXISTS items")
            connection.execute(statement)

    def refused(self, *arguments: str) -> str:
        """The message of a command that must be refused as wrong usage."""
        outcome = self.run(*arguments)
        assert outcome.code == 2, outcome
        assert outcome.out == ""
        return outcome.message


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs ``strangler`` with arguments, in this process and in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["strangler", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def place(tmp_path: Path, run: Callable[..., Outcome]) -> Place:
    return Place(tmp_path, run)


# The plan


def test_a_missing_plan_says_how_to_get_one(run) -> None:
    outcome = run("status")
    assert outcome.code == 2
    assert "strangler.toml" in outcome.message
    assert "strangler init" in outcome.message


def test_broken_toml_names_file_and_line(place: Place) -> None:
    place.plan.write_text('[monolith]\nurl = "http://127.0.0.1:1\n')
    assert re.search(r"strangler\.toml:2: ", place.refused("status"))


def test_an_unknown_key_is_named_with_what_was_meant(place: Place) -> None:
    place.write(phase='routing_kee = "jwt:sub"')
    message = place.refused("doctor")
    assert f"strangler.toml:{place.line_of('routing_kee')}: " in message
    assert "routing_kee" in message
    assert "'routing_key'" in message


SECOND_PHASE = """
[[phases]]
name = "second"
routes = ["{route}"]
[phases.service]
url = "http://127.0.0.1:1"
database = "sqlite:///second.db"
[[phases.tables]]
monolith = "{table}"
"""


@pytest.mark.parametrize(
    ("route", "table", "doubled"), [("GET /items", "others", "GET /items"), ("GET /others", "items", "items")]
)
def test_two_phases_must_not_claim_the_same(place: Place, route: str, table: str, doubled: str) -> None:
    place.write(more=SECOND_PHASE.format(route=route, table=table))
    message = place.refused("status")
    assert re.search(r"strangler\.toml:\d+: phases", message)
    assert doubled in message
    assert PHASE in message


def test_a_phase_that_is_not_there_is_named_with_what_was_meant(place: Place) -> None:
    assert f"Did you mean '{PHASE}'?" in place.refused("sync", "serch")


# Databases and servers


def test_a_table_without_a_primary_key_cannot_be_moved(place: Place) -> None:
    place.create("monolith", "CREATE TABLE items (id INTEGER, name TEXT)")
    message = place.refused("sync", PHASE)
    assert "items" in message
    assert "primary key" in message


def test_a_target_column_that_must_be_filled_and_is_not_mapped(place: Place) -> None:
    place.create("service", "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price INTEGER NOT NULL)")
    message = place.refused("sync", PHASE)
    assert "price" in message
    assert "`columns`" in message


def test_an_unreachable_database_is_named_without_its_password(place: Place, monkeypatch) -> None:
    monkeypatch.setenv("STRANGLER_MONOLITH__DATABASE_PASSWORD", "open-sesame")
    place.write(monolith=f"postgresql://app@127.0.0.1:{free_port()}/app")
    for command in (("sync", PHASE), ("check", PHASE), ("runbook", PHASE)):
        message = place.refused(*command)
        assert "127.0.0.1" in message
        assert "open-sesame" not in message
        assert "fault of strangler" not in message


def test_i7_a_plan_that_does_not_fit_leaves_nothing_to_be_ended(place: Place) -> None:
    place.create("service", "CREATE TABLE others (id INTEGER PRIMARY KEY)")
    assert "has no table 'items'" in place.refused("sync", PHASE)
    (phase,) = json.loads(place.run("status", "--json").out)["phases"]
    assert (phase["stage"], phase["interrupted"]) == ("off", None)


def test_a_database_that_is_not_there_is_not_created(place: Place) -> None:
    place.write(service="sqlite:///other.db")
    assert "other.db" in place.refused("sync", PHASE)
    assert not (place.directory / "other.db").exists()


def test_doctor_tells_of_an_unreachable_upstream(place: Place) -> None:
    outcome = place.run("doctor", "--json")
    assert outcome.code == 1
    report = json.loads(outcome.out)
    assert not report["ok"]
    told = [f"{each['subject']} {each['text']}" for each in report["diagnoses"] if each["level"] == "fail"]
    assert any("http://127.0.0.1" in each for each in told)


def test_a_control_database_that_cannot_be_opened(place: Place, monkeypatch) -> None:
    monkeypatch.setenv("STRANGLER_CONTROL__DATABASE", f"postgresql://app@127.0.0.1:{free_port()}/app")
    assert "the control database" in place.refused("status")


def test_an_address_that_is_taken(place: Place, monkeypatch) -> None:
    monkeypatch.setenv("STRANGLER_FACADE__LISTEN", "127.0.0.1:http")
    assert "127.0.0.1:http" in place.refused("serve")


# Percentages


@pytest.mark.parametrize(
    ("percent", "remedy"), [("101", "from 0 to 100"), ("0.5", "permyriad"), ("abc", "from 0 to 100")]
)
def test_a_percentage_that_is_none(place: Place, percent: str, remedy: str) -> None:
    for command in (("ramp", PHASE, "--reads", percent), ("flags", "set", f"{PHASE}.reads", percent)):
        message = place.refused(*command)
        assert percent in message
        assert remedy in message


def test_a_fraction_of_a_percent_where_the_plan_allows_it(place: Place, monkeypatch) -> None:
    monkeypatch.setenv("STRANGLER_FLAGS__PRECISION", "permyriad")
    outcome = place.run("flags", "set", f"{PHASE}.reads", "0.5", "--json")
    assert outcome.code == 0, outcome
    assert json.loads(outcome.out)["percent"] == "0.5"


def test_i1_writes_are_not_split_without_a_routing_key(place: Place) -> None:
    message = place.refused("ramp", PHASE, "--reads", "10", "--writes", "50")
    assert "routing_key" in message


def test_i1_the_writes_flag_is_not_set_by_hand(place: Place) -> None:
    assert "strangler advance" in place.refused("flags", "set", f"{PHASE}.writes", "50")


def test_who_is_in_is_told_as_the_facade_decides_it(place: Place) -> None:
    place.write(
        phase='routing_key = "header:X-User"',
        more="""
        [phases.cohorts]
        properties = { group = "header:X-Group" }
        first = { group = ["staff"] }
        """,
    )
    assert place.run("flags", "set", f"{PHASE}.reads", "0").code == 0
    asked = ("flags", "ask", f"{PHASE}.reads", "--key", "ann", "--property", "group=staff", "--json")
    assert json.loads(place.run(*asked).out)["in"] is False  # cohorts count in the ramp
    control = Control.open(f"sqlite:///{place.directory}/.strangler/control.db")
    with control.change() as change:
        control.amend(change, PHASE, "test", "to ramp", stage=Stage.RAMP)
    control.close()
    outcome = place.run(*asked)
    assert (outcome.code, json.loads(outcome.out)) == (
        0,
        {"flag": f"{PHASE}.reads", "in": True, "percent": "0", "variant": None},
    )
    assert place.run("flags", "ask", f"{PHASE}.reads", "--key", "ann").code == 1
    assert place.run("flags", "kill", PHASE).code == 0
    assert place.run(*asked).code == 1
    assert "NAME=VALUE" in place.refused("flags", "ask", f"{PHASE}.reads", "--property", "staff")


def test_a_flag_that_is_not_there_is_not_killed(place: Place) -> None:
    assert place.run("flags", "set", f"{PHASE}.reads", "10").code == 0
    assert f"{PHASE}.reads" in place.refused("flags", "kill", f"{PHASE}.raeds")


# Moves


@pytest.fixture
def copied(place: Place) -> Place:
    """A phase in shadow, without any traffic."""
    assert place.run("sync", PHASE).code == 0
    assert place.run("advance", PHASE).code == 0
    return place


def test_a_closed_gate_says_why_and_what_opens_it(copied: Place) -> None:
    outcome = copied.run("advance", PHASE)
    assert outcome.code == 1
    assert outcome.out == ""
    assert "cannot go to ramp yet" in outcome.message
    assert f"strangler check {PHASE}" in outcome.message


def test_a_closed_gate_is_told_to_programs_too(copied: Place) -> None:
    outcome = copied.run("advance", PHASE, "--json")
    assert outcome.code == 1
    told = json.loads(outcome.out)
    assert told["error"] == "GateClosed"
    assert {"check", "shadow"} <= {gate["name"] for gate in told["gates"]}
    assert all(gate["reason"] and gate["remedy"] for gate in told["gates"])


def test_a_second_controller_is_told_who_is_at_work(copied: Place) -> None:
    control = Control.open(f"sqlite:///{copied.directory}/.strangler/control.db")
    with Lease.acquire(control, PHASE, "ops-laptop:4711"):
        message = copied.refused("rollback", PHASE)
    control.close()
    assert "ops-laptop:4711" in message
    assert copied.run("rollback", PHASE).code == 0


def test_a_move_that_the_stage_does_not_allow(place: Place) -> None:
    assert "only a live phase" in place.refused("complete", PHASE, "--yes")
    assert "nothing to roll back" in place.refused("rollback", PHASE)
    assert "strangler advance" in place.refused("ramp", PHASE, "--reads", "10")


def test_complete_asks_first(place: Place, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    outcome = place.run("complete", PHASE)
    assert outcome.code == 1
    assert "no rollback from complete" in outcome.out


def test_a_phase_of_routes_alone_goes_all_the_way(place: Place) -> None:
    place.plan.write_text(
        f"""
        [monolith]
        url = "http://127.0.0.1:1"
        database = "sqlite:///monolith.db"
        [[phases]]
        name = "{PHASE}"
        routes = ["GET /items"]
        [phases.service]
        url = "http://127.0.0.1:2"
        [phases.gates]
        min_samples = 0
        min_idle_days = 0
        """
    )
    stages = []
    for command in ("sync", "check", "advance", "advance", "advance", "rollback", "advance", "advance"):
        outcome = place.run(command, PHASE, "--json")
        assert outcome.code == 0, outcome
        stages.append(json.loads(outcome.out).get("stage"))
    assert stages == ["dual_write", None, "shadow", "ramp", "live", "shadow", "ramp", "live"]
    assert json.loads(place.run("complete", PHASE, "--json").out)["stage"] == "complete"


# Output


def test_every_command_prints_one_json_document(copied: Place) -> None:
    for command in (
        ("status",),
        ("doctor",),
        ("sync", PHASE),
        ("check", PHASE),
        ("shadow", PHASE),
        ("runbook", PHASE),
        ("flags", "set", f"{PHASE}.reads", "10"),
        ("flags", "list"),
        ("flags", "kill", PHASE),
        ("rollback", PHASE),
        ("advance", PHASE),
    ):
        outcome = copied.run(*command, "--json")
        assert outcome.code in {0, 1}, outcome
        assert isinstance(json.loads(outcome.out), dict)
    exported = copied.run("flags", "export")
    (copied.directory / "flags.json").write_text(exported.out)
    imported = copied.run("flags", "import", "flags.json", "--json")
    assert json.loads(imported.out)["imported"] == len(json.loads(exported.out)["features"]) > 0


def test_an_error_is_a_json_document_too(place: Place) -> None:
    outcome = place.run("ramp", PHASE, "--reads", "101", "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["error"] == "FlagError"


def test_json_to_import_that_is_none_is_named_with_its_place(place: Place) -> None:
    (place.directory / "flags.json").write_text('{"features": [}')
    assert "flags.json: line 1, column" in place.refused("flags", "import", "flags.json")


SCRIPT = Path(sys.executable).with_name("strangler")


def printed(command: Sequence[str | Path], **environment: str) -> str:
    """What a command prints as a process of its own."""
    wanted = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    done = subprocess.run(command, env=wanted | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_an_override_needs_a_secret_and_is_good_for_the_facade(place: Place) -> None:
    assert "[facade.override]" in place.refused("override", PHASE)
    (place.directory / "secret").write_text("s" * 32)
    place.plan.write_text(f'{place.plan.read_text()}\n[facade.override]\nsecret_file = "secret"\n')
    outcome = place.run("override", PHASE, "--side", "monolith", "--json")
    document = json.loads(outcome.out)
    overrides = Overrides("s" * 32)
    assert overrides.side(document["token"].encode(), PHASE) is Side.MONOLITH
    printed = place.run("override", PHASE).out
    assert printed.startswith("X-Strangler-Side: ")
    assert overrides.side(printed.split()[1].encode(), PHASE) is Side.SERVICE


def test_colours_are_left_out_when_nobody_wants_them(copied: Place) -> None:
    status = (SCRIPT, "status", "--plan", copied.plan)
    terminal = {"TERM": "xterm-256color", "FORCE_COLOR": "1"}
    colour = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert colour.search(printed(status, **terminal))
    assert not colour.search(printed(status, **terminal, NO_COLOR="1"))


def test_shells_complete_commands(place: Place) -> None:
    script = printed(("bash", "-c", f"{SCRIPT} --show-completion; true"))
    assert "_STRANGLER_COMPLETE=complete_bash" in script
    asked = {"_STRANGLER_COMPLETE": "complete_bash", "COMP_WORDS": "strangler ro", "COMP_CWORD": "1"}
    assert printed((SCRIPT,), **asked).split() == ["rollback"]
