"""``strangler shadow``: periods, views and earlier runs of the same evidence."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.cli import main
from migration.control import Control
from migration.evidence import ControlEvidence

PLAN = """
[monolith]
url = "http://127.0.0.1:9"
database = "sqlite:///monolith.db"
[[phases]]
name = "search"
routes = ["GET /items", "GET /items/{id}", "GET /users"]
[phases.service]
url = "http://127.0.0.1:9"
[phases.shadow]
ignore = ["$.never"]
"""
HOUR = 3600.0

Running = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Running:
    """``strangler shadow search`` with these arguments: its exit code and what it wrote."""
    (tmp_path / "strangler.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str, phase: str = "search") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strangler", "shadow", phase, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out, " ".join(captured.err.split())

    return run


def told(run: Running, *arguments: str) -> dict[str, Any]:
    code, out, err = run(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def sample(at: float, path: str, kind: str, ours: str, theirs: str) -> Comparison:
    difference = Difference(path, kind, ours, theirs)
    return Comparison("search", "GET /items", f"r{at}", "GET", "/x", at, (difference,), 200, 200, 4.0, 5.0)


@pytest.fixture
def evidence(run: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hours ago a tenth of the prices differed; since an hour ago none does, and a name is missing."""
    control = Control.open(f"sqlite:///{tmp_path / '.strangler' / 'control.db'}")
    monkeypatch.setattr(Control, "now", lambda *_: at)
    now = time.time()
    at = now - 3 * HOUR
    price, name = ("$.items[*].price", "value"), ("$.name", "missing")
    latency: dict[str, Any] = {"primary_ms": {4.0: 1000}, "shadow_ms": {20.0: 1000}}
    items = ShadowCounts("search", "GET /items", 1000, 900, 100, fields={price: 200}, **latency)
    users = ShadowCounts("search", "GET /users", 50, 50)
    ControlEvidence(control).record(
        "w", [items, users], [sample(at, "$.items[3].price", "value", "1.25", "1.24")]
    )
    at = now - HOUR / 2
    latency = {"primary_ms": {4.0: 1000}, "shadow_ms": {5.0: 1000}}
    items = ShadowCounts("search", "GET /items", 1000, 995, 5, fields={name: 5}, **latency)
    ControlEvidence(control).record("w", [items, users], [sample(at, "$.name", "missing", '"a"', "(absent)")])
    at = now
    control.close()


@pytest.mark.usefixtures("evidence")
def test_a_report_tells_of_the_time_since(run: Running) -> None:
    assert told(run)["summary"]["total"]["compared"] == 2100
    recent = told(run, "--since", "1h")["summary"]
    assert recent["total"]["compared"] == 1050
    assert [field["path"] for field in recent["total"]["fields"]] == ["$.name"]
    assert len(recent["samples"]) == 1
    at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - HOUR))
    assert told(run, "--since", at)["summary"]["total"]["compared"] == 1050
    code, _, err = run("--since", "lately")
    assert (code, "'lately' is no time" in err) == (2, True)


@pytest.mark.usefixtures("evidence")
def test_a_view_shows_routes_places_and_kinds(run: Running) -> None:
    users = told(run, "--route", "users")["summary"]
    assert [route["route"] for route in users["routes"]] == ["GET /users"]
    assert users["total"]["compared"] == 100
    missing = told(run, "--kind", "missing", "--field", "name")["summary"]
    assert [field["path"] for field in missing["total"]["fields"]] == ["$.name"]
    assert missing["total"]["compared"] == 2100
    code, out, _ = run("--route", "users")
    assert "Only routes with “users”." in out
    code, _, err = run("--route", "orders")
    assert code == 2
    assert "no route of phase 'search' has 'orders' in its name. It has: GET /items," in err
    code, _, err = run("--kind", "odd")
    assert code == 2
    assert "There is no kind 'odd'. There are: status, type," in err


@pytest.mark.usefixtures("evidence")
def test_a_period_of_the_same_evidence_shows_what_changed(run: Running) -> None:
    found = told(run, "--since", "1h", "--compare", "4h..2h")["changes"]
    assert found["total"]["turn"] == "better"
    fields = {each["path"]: (each["turn"], each["remark"]) for each in found["fields"]}
    assert fields == {"$.items[*].price": ("better", "gone"), "$.name": ("worse", "new")}
    assert {each["name"]: each["turn"] for each in found["latency"]} == dict.fromkeys(
        ("p50", "p95", "p99"), "better"
    )
    code, out, _ = run("--compare", "4h..2h", "--html", "page.html")
    assert code == 0
    assert "The service agrees more often than before" in out
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Since 4h..2h" in page
    assert "gone" in page


@pytest.mark.usefixtures("evidence")
def test_a_saved_report_is_an_earlier_run(run: Running, tmp_path: Path) -> None:
    _, saved, _ = run("--json")
    earlier = tmp_path / "earlier.json"
    earlier.write_text(saved, encoding="utf-8")
    found = told(run, "--since", "1h", "--compare", "earlier.json")["changes"]
    assert (found["label"], found["total"]["before"]["matched"]) == ("earlier.json", 1995)
    for text, problem in (
        ("{", "is not JSON"),
        ("[1]", "is no report of shadow traffic"),
        (
            saved.replace('"phase": "search"', '"phase": "cart"'),
            "is a report of phase 'cart', not of 'search'",
        ),
        (
            saved.replace('"matched": 1995', '"matched": "many"'),
            "`summary.total.matched` is not as this version",
        ),
    ):
        earlier.write_text(text, encoding="utf-8")
        code, _, err = run("--compare", "earlier.json")
        assert (code, problem in err) == (2, True), err
    code, _, err = run("--compare", "gone.json")
    assert code == 2
    assert "neither a file nor a period" in err


@pytest.mark.usefixtures("evidence")
def test_the_screen_has_differences_and_what_to_do(run: Running) -> None:
    code, out, _ = run()
    assert code == 0
    for text in ("$.items[*].price", "1.25", "1.24", "(absent)", "Next", "Remove the rules that hid nothing"):
        assert text in out


def test_nothing_compared_yet_is_no_error(run: Running) -> None:
    code, out, _ = run("--html", "page.html")
    assert code == 0
    assert "Nothing has been compared yet." in out
    assert "strangler flags set search.shadow 100" in out
    assert "1970" not in Path("page.html").read_text(encoding="utf-8")


class Answering(BaseHTTPRequestHandler):
    """Answers with its target, and a price that depends on the side."""

    protocol_version = "HTTP/1.1"
    price = 1.5

    def do_GET(self) -> None:
        body = json.dumps({"target": self.path, "price": self.price, "who": self.headers["Authorization"]})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Rounding(Answering):
    price = 2


@pytest.fixture
def sides(run: Running, tmp_path: Path) -> Iterator[None]:
    """Two servers, of which one rounds, in the plan."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (Answering, Rounding)]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monolith, service = (f'"http://127.0.0.1:{server.server_port}"' for server in servers)
    plan = PLAN.replace('"http://127.0.0.1:9"', monolith, 1).replace('"http://127.0.0.1:9"', service, 1)
    (tmp_path / "strangler.toml").write_text(plan)
    yield
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("sides")
def test_a_replay_reports_as_live_traffic_does_and_leaves_no_evidence(run: Running, tmp_path: Path) -> None:
    line = '10.0.0.1 - - [28/Nov/2026:13:00:00 +0000] "{} HTTP/1.1" 200 9 "-" "-"\n'
    reads = [f"GET /items/{number}?token=canary-{number}" for number in range(30)]
    (tmp_path / "access.log").write_text("".join(map(line.format, [*reads, "POST /items", "GET /elsewhere"])))
    (tmp_path / "fields").write_text("Authorization: Bearer canary-token-of-the-replay")
    options = ("--replay", "access.log", "--headers", "fields", "--rate", "1000", "--html", "page.html")
    document = told(run, *options)
    total = document["summary"]["total"]
    assert (total["eligible"], total["mismatched"]) == (30, 30)
    assert [(field["path"], field["kind"]) for field in total["fields"]] == [("$.price", "value")]
    assert document["skipped"] == {"not safe": 1, "of no route": 1}
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Replayed from access.log" in page
    assert "canary" not in page + json.dumps(document)
    assert told(run)["summary"]["total"]["eligible"] == 0, "no gate sees it"
    code, out, _ = run("--replay", "access.log", "--limit", "5")
    assert code == 0
    assert "5 comparisons" in out
    assert "A replay opens no gate" in out


def test_a_recording_that_cannot_be_replayed_is_refused_before_anything_is_asked(
    run: Running, tmp_path: Path
) -> None:
    recorded = tmp_path / "access.log"
    for content, problem in (("", "holds no request"), ("GET /items\n", "access.log:1: this is no line")):
        recorded.write_text(content)
        code, _, err = run("--replay", "access.log")
        assert (code, problem in err) == (2, True), err
    code, _, err = run("--replay", "gone.log")
    assert (code, "gone.log" in err) == (2, True), err
    code, _, err = run("--replay", "access.log", "--since", "1h")
    assert (code, "leave one out" in err) == (2, True), err
