"""A phase of two small SQLite databases and servers that answer, whose runbook can be walked and killed."""

import os
import re
import signal
import sqlite3
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sqlalchemy import update

from migration.procedure import StepDone
from migration.runbook import TEMPLATES, Runbook
from migration.runbook_steps import Step
from migration.runbook_values import filler
from migration.schema.tables import leases
from migration.stages import Stage
from migration.transitions import Controller
from migration.walk import Walk
from migration.walk_acts import acts
from migration.walk_desk import Act, Answer, Desk
from migration.walk_journal import WalkJournal
from migration.walk_states import State
from migration.walking import runbook_of, status_of
from migration.wiring import Wiring

PHASE = "search"
ACTING = frozenset({"sync", "check", "ramp", "run"})
"""The kinds of steps that nobody finishes but themselves."""
TURNING_POINTS = frozenset({"lease", "guard", "commit", "publish"})
"""The steps of a move after which a run is killed inside it; `test_kill_matrix` has all of them."""
LATER = 12
"""How a killed run says that there is nothing left to be killed at."""


class _Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering() -> Iterator[str]:
    """The URL of a server that answers everything."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hurried(template: str) -> str:
    """A template whose soaks are over at once."""
    text = (TEMPLATES / f"{template}.toml").read_text(encoding="utf-8")
    return re.sub(r'^lasts = ".*"$', 'lasts = "0 s"', text, flags=re.MULTILINE)


def prepare(directory: Path, url: str, runbook: str) -> Path:
    """Databases with a row, a runbook, and the plan; returns the plan's file."""
    for side in ("monolith", "service"):
        with closing(sqlite3.connect(directory / f"{side}.db")) as connection, connection:
            connection.execute("CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT NOT NULL)")
            if side == "monolith":
                connection.execute("INSERT INTO items VALUES ('1', 'first')")
    (directory / "runbook.toml").write_text(runbook, encoding="utf-8")
    file = directory / "strangler.toml"
    file.write_text(
        f"""
        [monolith]
        url = "{url}"
        database = "sqlite:///monolith.db"
        [facade.timeouts]
        hold = 30
        [[phases]]
        name = "{PHASE}"
        routing_key = "header:X-User"
        routes = ["GET /items", "POST /items"]
        runbook = "runbook.toml"
        [phases.service]
        url = "{url}"
        database = "sqlite:///service.db"
        [[phases.tables]]
        monolith = "items"
        [phases.gates]
        min_samples = 0
        max_lag_seconds = 600
        min_idle_days = 0
        """
    )
    return file


class Deadly:
    """Ends this process, without a word, at the first place at which no run before it has ended.

    Each kind of step has a place at every boundary, in whichever runbook it comes first; each single step of
    every runbook has the worst of them: done, and not journaled. Of steps that do nothing, or whose moves may
    be finished by others: journaled, and not begun.
    """

    def __init__(self, seen: Path, everywhere: Path) -> None:
        self._files = (seen, everywhere)
        self._places = {
            line for file in self._files if file.exists() for line in file.read_text().splitlines()
        }

    def __call__(self, kind: str, step: str, what: str) -> None:
        critical = what == ("after do" if kind in ACTING else "checking, ready, written")
        place = f"{step}: {what}" if critical else f"any {kind}: {what}"
        if place in self._places:
            return
        with self._files[0 if critical else 1].open("a") as file:
            file.write(f"{place}\n")
        os.kill(os.getpid(), signal.SIGKILL)


class DeadlyJournal(WalkJournal):
    deadly: Deadly
    runbook: Runbook

    def write(self, step, event, detail=None) -> State:
        before = self.state(step)
        state = super().write(step, event, detail)
        kind = next(each.kind for each in self.runbook.steps if each.name == step)
        self.deadly(kind, step, f"{before}, {event}, written")
        return state


class DeadlyAct(Act):
    def __init__(self, act: Act, deadly: Deadly) -> None:
        super().__init__(act.desk, act.step)
        self._act = act
        self._deadly = deadly

    def precheck(self) -> Answer:
        return self._after("precheck", self._act.precheck())

    def do(self) -> None:
        self._act.do()
        self._after("do", Answer)

    def verify(self) -> Answer:
        return self._after("verify", self._act.verify())

    def undo(self) -> None:
        self._act.undo()
        self._after("undo", Answer)

    def stands(self) -> Answer:
        return self._act.stands()

    def _after(self, what: str, answer):
        self._deadly(self.step.kind, self.step.name, f"after {what}")
        return answer


def walk_and_die(plan: Path, deadly: Deadly) -> None:
    """Go on with the walk, and die at the first new place."""

    def observe(step: StepDone) -> None:
        if step.name in TURNING_POINTS:
            deadly(step.kind, step.kind, f"in do, after {step.name}")

    wiring = Wiring.load(plan)
    wiring.__dict__["controller"] = Controller(
        wiring.plan, wiring.control, wiring.replication, recheck=wiring.recheck, observer=observe
    )
    runbook, fill = runbook_of(wiring.plan, PHASE), filler(wiring.plan, status_of(wiring, PHASE))
    with DeadlyJournal.opened(wiring.control, PHASE, runbook.name, "tester") as journal:
        journal.deadly, journal.runbook = deadly, runbook
        desk = Desk(wiring, PHASE, fill, lambda _: None, 0, journal)
        real = acts(desk)

        def deadly_acts(step: Step) -> Act:
            return DeadlyAct(real(step), deadly)

        def stage() -> Stage:
            return desk.record.stage

        Walk(runbook, journal, deadly_acts, stage, tell=lambda _: None, ask=lambda *_: True).go()


def killed_everywhere(plan: Path, everywhere: Path) -> None:
    """Let run after run die, each at another place, until the walk is at its end. For a process of its own.

    What a dead run held is let go of between runs, as time would do.
    """
    while True:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                walk_and_die(plan, Deadly(plan.parent / "places", everywhere))
                code = LATER
            except Exception:  # noqa: BLE001 - told, and seen by the exit code
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            os._exit(0 if os.WEXITSTATUS(status) == LATER else 1)
        _let_time_pass(plan)


def _let_time_pass(plan: Path) -> None:
    wiring = Wiring.load(plan)
    with wiring.control.write() as connection:
        connection.execute(update(leases).values(expires_at=0.0))
    wiring.close()


def places(plan: Path) -> Sequence[str]:
    return (plan.parent / "places").read_text().splitlines()
