"""The plan's own gates: what a command or a web hook says is the reason, and nothing secret is in it."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from migration.errors import GateClosed, PlanError
from migration.gate_facts import GateVerdict, Step, Verdict
from migration.hooks import Hooks
from migration.stages import Stage
from migration.status import read_status
from tests.integration.migration.worlds import PHASE, World

LIVE = Step(Stage.LIVE)
PYTHON = json.dumps(sys.executable)


class Desk(BaseHTTPRequestHandler):
    """Answers each POST with the next of ``answers``, and remembers what it was sent."""

    answers: list[tuple[int, bytes]]
    asked: list[tuple[dict[str, Any], str | None]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((body, self.headers["authorization"]))
        status, said = self.answers.pop(0)
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def desk() -> Iterator[tuple[str, type[Desk]]]:
    handler = type("Desk", (Desk,), {"answers": [], "asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/gate", handler
        server.shutdown()
        thread.join()


def world(directory: Path, *hooks: str) -> World:
    return World(directory, tables=False, gates=f"hooks = [{', '.join(hooks)}]")


def asked(directory: Path, hook: str) -> GateVerdict:
    place = world(directory, hook)
    (verdict,) = Hooks(place.plan, place.control, "tester").ask(place.plan.phase(PHASE), LIVE)
    place.close()
    return verdict


def command(script: str, more: str = "") -> str:
    return f'{{ name = "budget", before = "live", command = [{PYTHON}, "-c", {json.dumps(script)}]{more} }}'


@pytest.mark.parametrize(
    ("script", "verdict", "reason"),
    [
        ("print('all well'); print('more')", Verdict.PASS, "exit code 0: all well."),
        ("import sys; sys.exit('budget is spent')", Verdict.FAIL, "exit code 1: budget is spent."),
        ("import sys; sys.exit(75)", Verdict.INCONCLUSIVE, "exit code 75."),
        ("print('password=hunter2hunter2'); exit(1)", Verdict.FAIL, "exit code 1: password=[redacted]."),
    ],
)
def test_a_commands_exit_code_and_first_line_are_the_reason(tmp_path, script, verdict, reason) -> None:
    found = asked(tmp_path, command(script))
    assert (found.name, found.verdict, found.reason) == ("hook budget", verdict, reason)


def test_a_command_knows_its_step_and_none_of_the_toolkits_secrets(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("STRANGLER_MONOLITH__DATABASE_PASSWORD", "hush")
    script = (
        "import os; e = os.environ; assert 'STRANGLER_MONOLITH__DATABASE_PASSWORD' not in e; "
        "print(*(os.path.basename(e[f'STRANGLER_{x}']) for x in ('PHASE', 'STEP', 'ACTOR', 'PLAN')))"
    )
    assert asked(tmp_path, command(script)).reason == "exit code 0: search live tester strangler.toml."


def test_words_go_through_no_shell_unless_the_plan_says_so(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = '{ name = "budget", before = "live", command = ["echo", "$HOME; echo no"] }'
    assert asked(tmp_path / "a", plain).reason == "exit code 0: $HOME; echo no."
    shell = '{ name = "budget", before = "live", shell = "exit 3" }'
    assert asked(tmp_path / "b", shell).reason == "exit code 3."


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path) -> None:
    script = "import subprocess, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    found = asked(tmp_path, command(script, ", timeout = 0.3"))  # well before the end of this test's time
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, "it was not done within 0.3 s.")


def test_a_command_that_is_not_there_is_no_failure(tmp_path) -> None:
    found = asked(tmp_path, '{ name = "budget", before = "live", command = ["./not-there"] }')
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "it cannot be started: No such file or directory."


@pytest.mark.parametrize(
    ("status", "body", "verdict", "reason"),
    [
        (204, b"", Verdict.PASS, "status 204."),
        (409, b"freeze until monday", Verdict.FAIL, "status 409: freeze until monday."),
        (302, b"", Verdict.FAIL, "status 302."),
        (503, b"later", Verdict.INCONCLUSIVE, "status 503: later."),
    ],
)
def test_a_web_hooks_status_and_first_line_are_the_reason(
    tmp_path, desk, status, body, verdict, reason
) -> None:
    url, handler = desk
    (tmp_path / "token").write_text("s3cret-token-of-the-desk")
    handler.answers.append((status, body))
    hook = f'{{ name = "desk", before = "live", url = "{url}", token_file = "token" }}'
    found = asked(tmp_path, hook)
    assert (found.verdict, found.reason) == (verdict, reason)
    ((told, authorization),) = handler.asked
    assert (told["phase"], told["step"], told["actor"]) == (PHASE, "live", "tester")
    assert authorization == "Bearer s3cret-token-of-the-desk"


def test_a_web_hook_that_is_out_of_reach_is_no_failure(tmp_path) -> None:
    found = asked(tmp_path, '{ name = "desk", before = "live", url = "http://127.0.0.1:1/" }')
    assert found.verdict is Verdict.INCONCLUSIVE


def test_a_step_waits_for_its_hook_and_others_are_told_when_it_is_taken(tmp_path, desk) -> None:
    url, handler = desk
    place = world(
        tmp_path,
        f'{{ name = "desk", before = "ramp", url = "{url}" }}',
        f'{{ name = "chat", after = "ramp", url = "{url}" }}',
    )
    place.reach(Stage.SHADOW)

    def shown() -> GateVerdict:
        (phase,) = read_status(place.plan, place.control, {}).phases
        (gate,) = [each for each in phase.gates if each.name == "hook desk"]
        return gate

    assert shown().reason == "it is asked when the step is taken."
    handler.answers += [(409, b"not today"), (200, b"go"), (500, b"chat is down")]
    with pytest.raises(GateClosed, match="status 409: not today"):
        place.controller.advance(PHASE)
    assert place.control.phase(PHASE).stage is Stage.SHADOW
    assert shown().reason.startswith("status 409: not today. That was")
    moved = place.controller.advance(PHASE)
    assert moved.target is Stage.RAMP
    assert [(each.name, each.reason) for each in moved.unheard] == [
        ("hook chat", "status 500: chat is down.")
    ]
    place.controller.rollback(PHASE)  # asks and tells nobody
    assert len(handler.asked) == 3
    place.close()


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ('{ name = "a", command = ["true"] }', "Say one of them"),
        ('{ name = "a", before = "live", after = "live", command = ["true"] }', "Say one of them"),
        ('{ name = "a", before = "live" }', "Give one of them"),
        ('{ name = "a", before = "live", command = ["true"], shell = "true" }', "Give one of them"),
        ('{ name = "a", before = "live", command = ["true"], token_file = "t" }', "goes with a `url`"),
        ('{ name = "a", before = "reads", command = ["true"] }', r"hooks\[0\]\.before"),
    ],
)
def test_a_hook_that_cannot_be_meant_is_refused_with_the_plan(tmp_path, hook, problem) -> None:
    with pytest.raises(PlanError, match=problem):
        world(tmp_path, hook)
