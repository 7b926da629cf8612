"""isso moves to another server under its visitors: there, back, there again, and for good."""

import html
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from migration.demo.processes import Process
from tests.real.isso.ledger import differences
from tests.real.isso.plan import IssoPlan
from tests.real.isso.server import Isso
from tests.real.isso.visitors import Traffic, Visitor

OWN_TRIGGER = "remove_stale_threads"


class Strangler:
    """The command line, as an operator uses it."""

    def __init__(self, plan: IssoPlan) -> None:
        self._program = Path(sys.executable).with_name("strangler")
        self._environment = {"STRANGLER_PLAN": str(plan.file)}
        self._logs = plan.file.parent

    def __call__(self, *arguments: str) -> Any:
        """What the command prints as JSON; it must succeed."""
        code, output = self.attempt(*arguments)
        assert code == 0, f"strangler {' '.join(arguments)} exited {code}:\n{output}"
        return json.loads(output)

    def attempt(self, *arguments: str) -> tuple[int, str]:
        """The command's exit code, and all that it printed when that is not 0."""
        done = subprocess.run(
            [self._program, *arguments, "--json"],
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def advance(self, traffic: Traffic) -> None:
        """Advance as soon as the gates let us: some open only after enough traffic."""
        for _ in range(20):
            code, output = self.attempt("advance", "comments")
            if code != 1:
                break
            traffic.go_on(40)
        assert code == 0, f"strangler advance exited {code}:\n{output}"

    def running(self, *arguments: str) -> Process:
        """A command that stays."""
        log = self._logs / f"{arguments[0]}.log"
        return Process([self._program, *arguments], log, environment=self._environment)


@pytest.fixture
def monolith(tmp_path: Path) -> Iterator[Isso]:
    isso = Isso(tmp_path / "monolith")
    isso.start()
    yield isso
    isso.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Isso]:
    isso = Isso(tmp_path / "service")
    isso.start()
    yield isso
    isso.stop()


@pytest.fixture
def visitors(monolith: Isso) -> Iterator[list[Visitor]]:
    """Visitors who have been there before anything moved, and hold cookies from then."""
    with ExitStack() as leaving:
        visitors = [Visitor(number, monolith.url) for number in range(4)]
        for visitor in visitors:
            leaving.callback(visitor.close)
            visitor.fill_archive()
            visitor.post()
        yield visitors


@pytest.mark.timeout(600)
def test_i2_comments_move_to_another_isso_and_back_and_there_for_good(
    tmp_path: Path, monolith: Isso, service: Isso, visitors: list[Visitor]
) -> None:
    ledgers = [visitor.ledger for visitor in visitors]
    own_triggers = service.triggers()
    plan = IssoPlan(tmp_path, monolith, service)
    strangler = Strangler(plan)

    strangler("doctor")

    with strangler.running("serve", "--workers", "2") as facade, strangler.running("relay"):
        facade.wait_for_http(f"{plan.url}/config")
        for visitor in visitors:
            visitor.move_to(plan.url)

        with Traffic(visitors) as traffic:  # there
            traffic.go_on(50)
            strangler("sync", "comments")
            service.restart()  # isso reads the key that signs its cookies when it starts
            assert service.session_key() == monolith.session_key()
            strangler("check", "comments")
            strangler.advance(traffic)
            traffic.go_on(100)
            strangler.advance(traffic)
            strangler("ramp", "comments", "--reads", "50")
            traffic.go_on(150)
            strangler("check", "comments")
            strangler.advance(traffic)
            traffic.go_on(150)
        assert _stage(strangler) == "live"
        _reports(strangler("shadow", "comments", "--html", str(tmp_path / "shadow.html")))
        assert _failures(visitors) == []
        assert differences(ledgers, service) == []
        _refuses_strays(monolith)
        strangler("check", "comments")

        with Traffic(visitors) as traffic:  # and back
            traffic.go_on(50)
            strangler("rollback", "comments")
            traffic.go_on(150)
        assert _failures(visitors) == []
        assert differences(ledgers, monolith) == []
        _refuses_strays(service)

        with Traffic(visitors) as traffic:  # there again, and for good
            strangler("check", "comments")
            while _stage(strangler) != "live":
                strangler.advance(traffic)
            traffic.go_on(100)
            strangler("check", "comments")
            strangler("complete", "comments")
            traffic.go_on(100)
        assert _stage(strangler) == "complete"
        assert _stale(visitors) == 0, "in every stage everybody reads what they wrote"

        for visitor in visitors:
            visitor.like_again()
            visitor.edit_archive()
        assert _failures(visitors) == []
        assert differences(ledgers, service) == []
        _refuses_strays(monolith)

    assert service.triggers() == own_triggers
    assert monolith.triggers()[OWN_TRIGGER] == own_triggers[OWN_TRIGGER]
    assert service.rows("SELECT DISTINCT typeof(voters), length(voters) FROM comments") == [("blob", 256)]
    assert sum(len(ledger.deleted) for ledger in ledgers) > 0
    assert sum(len(ledger.likes) for ledger in ledgers) > 0


def _reports(told: dict[str, Any]) -> None:
    """The report of all reads in shadow and ramp: balanced, in agreement, and on a page that says so."""
    summary = told["summary"]
    total, routes = summary["total"], {route["route"]: route for route in summary["routes"]}
    assert total["match_rate"] >= 0.99
    for route in (total, *routes.values()):  # I10
        settled = route["matched"] + route["mismatched"] + route["stale"] + sum(route["drops"].values())
        assert route["eligible"] == settled
    assert {"GET /", "* /id/{id}"} <= routes.keys()
    assert sum(moment["matched"] for moment in summary["trend"]) == total["matched"]
    for side in ("primary", "shadow"):
        assert total[side]["count"] == total["compared"] + total["stale"]
        assert total[side]["p50"]["low"] <= total[side]["p50"]["value"] <= total[side]["p99"]["high"]
    page = html.unescape(Path(told["html"]).read_text(encoding="utf-8"))
    for text in (told["verdict"]["sentence"], "* /id/{id}", "<h2>Latency</h2>", "<svg"):
        assert text in page


def _stage(strangler: Strangler) -> str:
    (phase,) = strangler("status")["phases"]
    return str(phase["stage"])


def _stale(visitors: list[Visitor]) -> int:
    return sum(visitor.ledger.stale for visitor in visitors)


def _failures(visitors: list[Visitor]) -> list[str]:
    return [failure for visitor in visitors for failure in visitor.ledger.failures]


def _refuses_strays(isso: Isso) -> None:
    """A write that goes around the facade, to the side that is not the writer, changes nothing."""
    before = isso.rows("SELECT * FROM comments")
    stray = {"text": "around the facade", "title": "stray"}
    assert httpx.post(f"{isso.url}/new?uri=/stray/", json=stray, timeout=30).status_code == 500
    assert isso.rows("SELECT * FROM comments") == before
