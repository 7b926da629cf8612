"""I9: secrets planted in everything that passes are nowhere on disk: not in the control database, in logs,
metrics or reports, nor in what a replay leaves."""

import io
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from migration.cli import main
from migration.control import Control
from migration.demo.processes import Process, free_port
from migration.evidence import agreement

SECONDS = 30
READS = 4

# Each side answers with its own, so that every place differs and is sampled.
SECRETS = {
    "password": ("hunter2-monolith", "hunter2-service"),
    "session_id": ("s-plain-one", "s-plain-two"),
    "note": ("Bearer c2VjcmV0LW9uZS1jYW5hcnk", "Bearer c2VjcmV0LXR3by1jYW5hcnk"),
    "owner": ("canary.one@example.org", "canary.two@example.org"),
    "jwt_like": (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvbmUifQ.c2lnbmF0dXJlLW9uZQ",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0d28ifQ.c2lnbmF0dXJlLXR3bw",
    ),
    "payment": ("4111 1111 1111 1111", "5500 0000 0000 0004"),
    "key": ("sk_live_51CanaryOneCanaryOne", "sk_live_51CanaryTwoCanaryTwo"),
    "digest": ("5f4dcc3b5aa765d61d8327deb882cf99", "7c6a180b36896a0a8c02787eeafb0e4c"),
    "callback": ("https://me:pw-canary-one@shop.test/", "https://me:pw-canary-two@shop.test/"),
    "remark": ("the password=plain-canary-one stays", "the password=plain-canary-two stays"),
    "pem": ("-----BEGIN PRIVATE KEY-----\nMIIcanaryone\n", "-----BEGIN PRIVATE KEY-----\nMIIcanarytwo\n"),
}
QUERY = {"access_token": "query-canary-1", "email": "query.canary@example.org", "sig": "query-canary-2"}
PATH = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwYXRoIn0.cGF0aC1jYW5hcnk"
REQUEST = {
    "Authorization": "Bearer request-canary-token-1",
    "Cookie": "sid=request-canary-cookie; theme=dark",
    "X-Api-Key": "request-canary-key",
    "X-CSRF-Token": "request-canary-csrf",
}
ANSWER = {
    "Set-Cookie": ("sid=answer-canary-one; Path=/", "sid=answer-canary-two; Path=/; Secure"),
    "Location": ("/next?token=answer-canary-three", "/next?token=answer-canary-four"),
    "X-Auth-Token": ("answer-canary-five", "answer-canary-six"),
}
CANARIES = [
    *(value for pair in (*SECRETS.values(), *ANSWER.values()) for value in pair),
    *QUERY.values(),
    PATH,
    *REQUEST.values(),
]


def needles() -> Iterator[bytes]:
    """Each canary as it is, and the part of it that is secret by itself, in the spellings of files."""
    for canary in CANARIES:
        tell_tale = [
            canary,
            *(word for word in canary.replace("=", " ").replace(";", " ").split() if "canary" in word),
        ]
        for text in tell_tale:
            yield text.encode()
            yield quote(text).encode()
            yield json.dumps(text)[1:-1].encode()


class Side(BaseHTTPRequestHandler):
    """Answers with the secrets of its side."""

    protocol_version = "HTTP/1.1"
    number = 0

    def do_GET(self) -> None:
        secrets = {name: pair[self.number] for name, pair in SECRETS.items()}
        if self.path.startswith("/text"):
            body, kind = "\n".join(f"{name}: {value}" for name, value in secrets.items()), "text/plain"
        else:
            document: Mapping[str, Any] = {
                **secrets,
                "deep": [[secrets], {"credentials": {"plain": f"nested-canary-{self.number}"}}],
                secrets["owner"]: self.number,
                "types": secrets if self.number else [secrets["note"], secrets["jwt_like"], secrets["key"]],
            }
            body, kind = json.dumps(document), "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, pair in ANSWER.items():
            self.send_header(name, pair[self.number])
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Service(Side):
    number = 1


@pytest.fixture
def urls() -> Iterator[list[str]]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), side)) for side in (Side, Service)
        ]
        for server in servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
            stack.callback(server.shutdown)
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]


class Place:
    """A directory in which everything is written, temporary files included."""

    def __init__(self, directory: Path, urls: list[str]) -> None:
        self.directory = directory
        listen, admin = free_port(), free_port()
        self.url, self.admin = f"http://127.0.0.1:{listen}", f"http://127.0.0.1:{admin}"
        (directory / "tmp").mkdir()
        (directory / "strangler.toml").write_text(
            f"""
            [monolith]
            url = "{urls[0]}"
            database = "sqlite:///monolith.db"
            [facade]
            listen = "127.0.0.1:{listen}"
            admin = "127.0.0.1:{admin}"
            [[phases]]
            name = "search"
            routes = ["GET /search", "GET /search/{{token}}", "GET /text"]
            [phases.service]
            url = "{urls[1]}"
            [phases.shadow]
            headers = ["content-type", "set-cookie", "location", "x-auth-token"]
            """
        )
        self.environment = {
            "STRANGLER_PLAN": str(directory / "strangler.toml"),
            "TMPDIR": str(directory / "tmp"),
        }

    def strangler(self, *arguments: str) -> str:
        """What a command writes, which is kept in the directory too."""
        written = io.StringIO()
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(self.directory)
            patched.setattr(tempfile, "tempdir", str(self.directory / "tmp"))
            patched.setattr(sys, "argv", ["strangler", *arguments])
            for name, value in self.environment.items():
                patched.setenv(name, value)
            with redirect_stdout(written), redirect_stderr(written), pytest.raises(SystemExit) as ended:
                main()
        name = "-".join(part.strip("-/").replace("/", "-") for part in arguments)
        (self.directory / f"{name}.out").write_text(written.getvalue(), encoding="utf-8")
        assert not ended.value.code, written.getvalue()
        return written.getvalue()

    def serve(self) -> Process:
        command = [sys.executable, "-m", "migration.cli", "serve", "--workers", "1", "--access-log"]
        return Process(command, self.directory / "serve.log", environment=self.environment)


def targets() -> list[str]:
    return [f"/search?{urlencode(QUERY)}", f"/search/{PATH}", f"/text?{urlencode(QUERY)}"]


def har(directory: Path, url: str) -> Path:
    headers = [{"name": name, "value": value} for name, value in REQUEST.items()]
    entries = [
        {"request": {"method": "GET", "url": url + target, "headers": headers}} for target in targets()
    ]
    file = directory / "reads.har"
    file.write_text(json.dumps({"log": {"entries": entries}}))
    return file


def compared(place: Place) -> int:
    control = Control.attach(f"sqlite:///{place.directory}/.strangler/control.db")
    try:
        return agreement(control, "search", 0.0).compared
    finally:
        control.close()


@pytest.mark.timeout(120)
def test_i9_planted_canaries_are_nowhere_on_disk(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, urls: list[str]
) -> None:
    place = Place(tmp_path, urls)
    with place.serve() as facade:
        facade.wait_for_http(f"{place.admin}/-/readyz", SECONDS)
        place.strangler("advance", "search")
        place.strangler("advance", "search")
        with httpx.Client(base_url=place.url, headers=REQUEST, trust_env=False) as client:
            for _ in range(READS):
                for target in targets():
                    assert client.get(target).status_code == 200
        deadline = time.monotonic() + SECONDS
        while compared(place) < READS * len(targets()):
            assert time.monotonic() < deadline, place.strangler("status")
            time.sleep(0.05)
        token = (tmp_path / ".strangler" / "admin-token").read_text().strip()
        metrics = httpx.get(
            f"{place.admin}/-/metrics", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        (tmp_path / "metrics.txt").write_text(metrics.raise_for_status().text)
        place.strangler("shadow", "search", "--html", "live.html", "--json")
        recorded = har(tmp_path_factory.mktemp("recorded"), place.url)
        replayed = place.strangler("shadow", "search", "--replay", str(recorded), "--html", "replay.html")
        place.strangler("status", "--json")
        place.strangler("audit", "list")

        files = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_socket()]
        written = {file: file.read_bytes() for file in files}
    written[tmp_path / "serve.log"] = (tmp_path / "serve.log").read_bytes()
    assert any(file.name == "control.db" for file in files)
    assert b"$.password" in written[tmp_path / "live.html"], "the differences are there"
    assert b"header:set-cookie" in written[tmp_path / "replay.html"]
    assert "3 comparisons" in replayed
    found = {
        (str(file.relative_to(tmp_path)), needle.decode())
        for needle in set(needles())
        for file, content in written.items()
        if needle in content
    }
    assert sorted(found) == []
