"""``strangler runbook``: printed, looked ahead, walked, stopped at what a person has to do, and gone on."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from facade.traffic import TrafficCount
from flags.side import Side
from migration.cli import main, watching
from migration.control import Control
from migration.lease import Lease, new_holder
from migration.plan import Plan
from migration.runbook_values import values
from migration.runbook_words import PLACEHOLDERS
from migration.stages import Stage
from migration.traffic import ControlTraffic
from migration.walk_journal import lease_name
from migration.walking import status_of
from migration.wiring import Wiring
from tests.integration.migration.walks import PHASE, answering, hurried, prepare

SMALL = """
title = "Small"
about = "A test."

[[steps]]
name = "doctor"
kind = "doctor"

[[steps]]
name = "copy"
kind = "sync"

[[steps]]
name = "check"
kind = "check"

[[steps]]
name = "shadow"
kind = "advance"
stage = "shadow"

[[steps]]
name = "look"
kind = "confirm"
title = "Look at {phase}"
why = "Because it is in {stage}."
expect = "It is there."
back = "Look away."

[[steps]]
name = "ramp"
kind = "advance"
stage = "ramp"

[[steps]]
name = "reads"
kind = "ramp"
reads = 50
"""


class Room:
    """A phase with its runbook, and the command line."""

    def __init__(self, plan: Path, monkeypatch, capsys) -> None:
        self.plan = plan
        self.directory = plan.parent
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, what is printed, and what is said of an error, on one line."""
        self._monkeypatch.setattr(sys, "argv", ["strangler", *arguments, "--plan", str(self.plan)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self._capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out, " ".join(captured.err.split())

    def walk(self, *options: str) -> tuple[int, str, str]:
        return self.run("runbook", PHASE, "--run", "--wait", "0", *options)

    def states(self) -> dict[str, str]:
        document = json.loads(self.run("runbook", PHASE, "--json")[1])
        return {step["name"]: step["state"] for step in document["steps"]}

    def stage(self) -> Stage:
        wiring = Wiring.load(self.plan)
        try:
            return wiring.control.phase(PHASE).stage
        finally:
            wiring.close()

    def write(self, runbook: str) -> None:
        (self.directory / "runbook.toml").write_text(runbook, encoding="utf-8")


@pytest.fixture(scope="module")
def url():
    with answering() as url:
        yield url


@pytest.fixture
def room(tmp_path, url, monkeypatch, capsys) -> Room:
    return Room(prepare(tmp_path, url, SMALL), monkeypatch, capsys)


def test_a_walk_stops_for_a_person_and_goes_on(room: Room) -> None:
    code, out, err = room.walk()
    assert code == 1
    assert "1/7 doctor: Can the plan run?" in out
    assert "step 'look' is for a person to do: Look at search Because it is in shadow." in err
    assert f"`strangler runbook {PHASE} --run --confirm look`" in err
    assert room.states() == {
        "doctor": "behind",
        "copy": "behind",
        "check": "behind",
        "shadow": "behind",
        "look": "next",
        "ramp": "later",
        "reads": "later",
    }
    code, out, err = room.walk("--confirm", "ramp")
    assert code == 2
    assert "'look' is next" in err
    code, out, _ = room.walk("--confirm", "look")
    assert code == 0
    assert out.splitlines()[-1] == f"{PHASE}: ramp; every step of the runbook is done"
    assert "50 % of the reads" in out
    entries = json.loads(room.run("audit", "list", "--json")[1])
    assert "step look of the runbook of search confirmed" in [entry["what"] for entry in entries]


def test_the_document_of_a_walk_says_what_is_to_be_confirmed(room: Room) -> None:
    code, out, _ = room.walk("--json")
    assert code == 1
    assert json.loads(out)["error"] == "WalkStopped"
    assert "--confirm look" in json.loads(out)["message"]
    [phase] = json.loads(room.run("status", "--json")[1])["phases"]
    assert (phase["walk"]["step"], phase["walk"]["state"], phase["walk"]["alive"]) == (
        "look",
        "waiting",
        False,
    )


def test_a_dry_run_tells_and_does_nothing(room: Room) -> None:
    code, out, _ = room.run("runbook", PHASE, "--dry-run")
    assert code == 0
    assert out.splitlines()[:2] == ["1/7 doctor (doctor): next: ready", "2/7 copy (sync): later"]
    assert room.stage() is Stage.OFF
    [phase] = json.loads(room.run("status", "--json")[1])["phases"]
    assert phase["walk"] is None


def test_a_closed_gate_stops_the_walk_and_says_what_opens_it(room: Room) -> None:
    room.plan.write_text(room.plan.read_text().replace("min_samples = 0", "min_samples = 5"))
    room.walk()
    code, out, _ = room.walk("--confirm", "look", "--json")
    assert code == 1
    document = json.loads(out)
    assert document["error"] == "GateClosed"
    assert "shadow" in [gate["name"] for gate in document["gates"]]
    line = json.loads(room.run("runbook", PHASE, "--dry-run", "--json")[1])["steps"][5]
    assert (line["state"], line["precheck"]) == ("next", "refused")
    assert "gates are closed" in line["reason"]


def test_a_failed_check_is_told_and_begun_again_when_it_is_mended(room: Room) -> None:
    room.run("sync", PHASE)
    with closing(sqlite3.connect(room.directory / "service.db")) as connection, connection:
        connection.execute("INSERT INTO strangler_session VALUES ('test')")
        connection.execute("UPDATE items SET name = 'other'")
        connection.execute("DELETE FROM strangler_session")
    code, _, err = room.walk()
    assert code == 1
    assert "'check' failed, and nothing of it is left: the check found 1 differences" in err
    assert room.run("check", PHASE, "--repair", "--apply")[0] == 0
    assert "step 'look'" in room.walk()[2]


def test_a_phase_that_was_rolled_back_is_walked_again(room: Room) -> None:
    room.walk()
    assert room.walk("--confirm", "look")[0] == 0
    room.run("rollback", PHASE)
    code, _, err = room.walk()
    assert code == 1
    assert "step 'look'" in err, "a new walk asks anew"
    assert room.walk("--confirm", "look")[0] == 0
    assert room.stage() is Stage.RAMP


def test_two_runs_do_not_walk_at_once(room: Room) -> None:
    control = Control.open(Plan.load(room.plan).control.database_url)
    with Lease.acquire(control, lease_name(PHASE), new_holder()):
        code, _, err = room.walk()
    control.close()
    assert code == 1
    assert "is being walked by" in err


def test_commands_are_verified_and_what_failed_is_taken_back(room: Room) -> None:
    steps = """
    title = "Jobs"
    about = "A test."
    [[steps]]
    name = "pause"
    kind = "run"
    title = "Pause"
    why = "They write."
    precheck = ["test", "!", "-f", "busy"]
    do = ["sh", "-c", "echo did >> log; test -f works && touch paused"]
    verify = ["test", "-f", "paused"]
    undo = ["sh", "-c", "echo undid >> log"]
    """
    room.write(steps)
    (room.directory / "busy").touch()
    code, _, err = room.walk()
    assert (code, "`test '!' -f busy` exited with 1" in err) == (1, True)
    (room.directory / "busy").unlink()
    code, _, err = room.walk()
    assert code == 1
    assert "'pause' failed, and nothing of it is left" in err
    (room.directory / "works").touch()
    assert room.walk()[0] == 0
    assert room.walk()[0] == 0, "what is there already is not done again"
    assert (room.directory / "log").read_text().split() == ["did", "undid", "did"]
    room.write(steps.replace('"test", "-f", "paused"', '"sh", "-c", "exit 3"'))
    code, _, err = room.walk()
    assert (code, "'pause' cannot begin: `sh -c 'exit 3'` exited with 3" in err) == (1, True)
    room.write(steps.replace('["test", "-f", "paused"]', '["no-such-command"]'))
    assert "`no-such-command` cannot be run: No such file or directory" in room.walk()[2]


def test_a_command_that_a_dead_run_left_at_work_is_waited_for(room: Room) -> None:
    wiring = Wiring.load(room.plan)
    lock = wiring.state_directory / f"runbook-{PHASE}.lock"
    wiring.close()
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); "
        "print('held', flush=True); input()"
    )
    room.write(
        'title = "t"\nabout = "a"\n[[steps]]\nname = "x"\nkind = "run"\ntitle = "t"\nwhy = "w"\n'
        'do = ["touch", "there"]\nverify = ["test", "-f", "there"]\nundo = ["true"]\n'
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        code, _, err = room.walk()
        other.communicate("\n")
    assert code == 1
    assert "is still at work" in err
    assert room.walk()[0] == 0


def test_a_broken_runbook_is_refused_with_its_line(room: Room) -> None:
    room.write(SMALL.replace('kind = "check"', 'kind = "chekc"'))
    code, _, err = room.run("runbook", PHASE)
    assert code == 2
    assert "runbook.toml:15: steps[2].kind: 'chekc' is no kind of step. Did you mean 'check'?" in err
    code, out, _ = room.run("doctor", "--json")
    [found] = [each for each in json.loads(out)["diagnoses"] if each["subject"] == f"{PHASE}: runbook"]
    assert (code, found["level"], "runbook.toml:15" in found["text"]) == (1, "fail", True)
    room.plan.write_text(room.plan.read_text().replace("runbook.toml", "read-mosly"))
    code, _, err = room.run("status")
    assert code == 2
    assert "there is no runbook 'read-mosly'. Built in: auth-session" in err


def test_the_page_has_todays_values(room: Room) -> None:
    room.write(hurried("read-mostly"))
    room.run("sync", PHASE)
    code, page, _ = room.run("runbook", PHASE)
    assert code == 0
    wiring = Wiring.load(room.plan)
    assert tuple(values(wiring.plan, status_of(wiring, PHASE))) == PLACEHOLDERS
    wiring.close()
    assert page.startswith(f"# Runbook: phase `{PHASE}`\n\nRead-mostly. For routes that are read far more")
    assert "Stage now: **dual_write**" in page
    assert "| writer | monolith (epoch 1) |" in page
    assert "- [x] backfill: every table is copied." in page
    assert "## 1. Can the plan run? ✔" in page
    assert f"    strangler ramp {PHASE} --reads 10\n" in page
    assert "{" not in page


def test_confirm_is_for_a_run(room: Room) -> None:
    assert room.run("runbook", PHASE, "--confirm", "look")[0] == 2


def test_status_shows_the_walk_and_how_far_the_monolith_is_strangled(room: Room) -> None:
    room.walk()
    wiring = Wiring.load(room.plan)
    ControlTraffic(wiring.control).count(
        [
            TrafficCount(PHASE, "GET /items", Side.SERVICE, 3),
            TrafficCount("", "", Side.MONOLITH, 1),
        ]
    )
    wiring.close()
    _, shown, _ = room.run("status")
    assert "Strangled: 75% of 4 requests in the last 5 minutes; 0 of 1 phases complete" in shown
    assert "last hour" in shown
    assert f"{PHASE}: runbook at step look, waiting; nobody is at it" in shown
    strangled = json.loads(room.run("status", "--json")[1])["strangled"]
    assert (strangled["share"], strangled["phases"], strangled["completed"]) == (0.75, 1, [])
    assert (len(strangled["minutes"]), len(strangled["hours"])) == (60, 168)


def test_watching_shows_what_was_last_known_while_the_control_database_is_gone(room, monkeypatch) -> None:
    room.run("status")
    file = room.directory / ".strangler" / "control.db"
    turns: list[float] = []

    def turn(seconds: float) -> None:
        turns.append(seconds)
        if len(turns) == 1:
            file.rename(file.with_suffix(".gone"))
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=turn))
    _, shown, _ = room.run("status", "--watch")
    assert len(turns) == 2
    assert "the control database does not answer" in shown
    assert "Migration at revision 0" in shown
