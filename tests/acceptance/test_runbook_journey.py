"""The reference phase from off to complete by its runbook alone, under traffic, with runs that are killed."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from migration.demo.environment import PHASE, Environment
from migration.journal import Journal
from migration.runbook import TEMPLATES
from migration.schema.tables import audit
from migration.stages import Stage
from migration.walk_journal import last_walk
from migration.walk_states import State
from migration.wiring import Wiring
from tests.acceptance.command import Strangler
from tests.acceptance.people import Crowd

SECONDS = 90


class Walker:
    """Runs of the runbook, as processes."""

    def __init__(self, environment: Environment) -> None:
        self.plan = environment.plan_file
        self.wiring = Wiring.load(self.plan)
        self.strangler = Strangler(self.plan)

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "migration.cli", "runbook", PHASE, "--run", "--wait", "60"]
        return subprocess.Popen(
            [*command, "--plan", str(self.plan)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def killed_at(self, step: str) -> None:
        """Start a run, and kill it while it does a step."""
        run = self.start()
        deadline = time.monotonic() + SECONDS
        while (walk := last_walk(self.wiring.control, PHASE)) is None or (walk.step, walk.state) not in {
            (step, State.DOING),
            (step, State.VERIFYING),
        }:
            assert time.monotonic() < deadline, walk
            assert run.poll() is None, run.communicate()[1]
            time.sleep(0.002)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        left = last_walk(self.wiring.control, PHASE)
        assert left is not None
        assert (left.step, left.outcome) == (step, None)


@contextmanager
def reading(crowd: Crowd) -> Iterator[None]:
    """Somebody searches all the time: the gates want to see it."""
    leaving = threading.Event()

    def search() -> None:
        while not leaving.is_set():
            crowd.read(5)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield
    finally:
        leaving.set()
        thread.join()


@pytest.fixture
def walker(environments: Callable[[str], Environment]):
    environment = environments("sqlite")
    text = (TEMPLATES / "read-mostly.toml").read_text(encoding="utf-8")
    hurried = re.sub(r'^lasts = ".*"$', 'lasts = "0.2 s"', text, flags=re.MULTILINE)
    (environment.directory / "runbook.toml").write_text(hurried, encoding="utf-8")
    plan = environment.plan_file.read_text()
    named = plan.replace(f'name = "{PHASE}"', f'name = "{PHASE}"\nrunbook = "runbook.toml"', 1)
    environment.plan_file.write_text(named)
    walker = Walker(environment)
    yield walker
    walker.wiring.close()


@pytest.mark.timeout(300)
def test_i7_the_runbook_leads_from_off_to_complete_over_two_deaths(walker: Walker, environments) -> None:
    environment = environments("sqlite")
    control, strangler = walker.wiring.control, walker.strangler
    with Crowd(environment.url) as crowd, reading(crowd):
        crowd.go_on(5)
        walker.killed_at("check-copy")
        assert strangler("runbook", PHASE)["walk"]["step"] == "check-copy"
        walker.killed_at("live")

        stopped = walker.start()
        _, said = stopped.communicate(timeout=SECONDS)
        assert stopped.returncode == 1
        assert "step 'let-go' is for a person to do" in said
        assert control.phase(PHASE).stage is Stage.LIVE
        crowd.go_on(10)

        done = strangler.attempt("runbook", PHASE, "--run", "--confirm", "let-go", "--wait", "60", "--json")
        assert done.code == 0, done
        assert done.document == {"phase": PHASE, "stage": "complete", "finished": True}
        crowd.go_on(5)
    assert crowd.failures == []
    assert crowd.differences(environment.databases, "service") == []

    with control.read() as connection:
        did = Counter(connection.scalars(select(audit.c.what)))
        changed = connection.scalars(select(audit.c.after)).all()
    entered = Counter(after["stage"] for after in changed if "stage" in after)
    assert entered == {stage: 1 for stage in Stage if stage is not Stage.OFF}
    assert did[f"ramp {PHASE}"] == 4
    assert Journal(control).unfinished() == []
    status = strangler("status")
    assert status["phases"][0]["shares"] == {"reads": 10_000, "writes": 10_000, "shadow": 0}
    assert status["strangled"]["completed"][0]["phase"] == PHASE
    assert status["strangled"]["share"] > 0
    assert sum(slot["service"] for slot in status["strangled"]["hours"]) > 0
    assert strangler("flags", "list")["flags"] == []
    page = json.dumps(strangler("runbook", PHASE))
    assert '"state": "next"' not in page
