"""`strangler serve` as a process: it answers whatever becomes of the control plane."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.migration.serving import SECONDS, Facade


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def facade(tmp_path: Path, upstream: str) -> Iterator[Facade]:
    facade = Facade(tmp_path, upstream)
    facade.process.wait_for_http(f"{facade.admin.base_url}/-/readyz", SECONDS)
    yield facade
    facade.close()


def test_i6_a_deleted_control_database_is_degraded_and_harms_nobody(facade: Facade) -> None:
    assert facade.readiness() == (200, {"status": "ready", "workers": 2, "degraded": None})
    assert facade.client.get("/search").text == "ok"

    for file in (facade.directory / ".strangler").glob("control.db*"):
        file.unlink()

    deadline = time.monotonic() + SECONDS
    while "strangler_workers_degraded 2.0" not in facade.metrics():
        assert facade.client.get("/search").text == "ok"
        assert time.monotonic() < deadline, facade.metrics()
    status, readiness = facade.readiness()
    assert status == 200
    assert readiness["status"] == "ready"
    assert "control database" in readiness["degraded"]
    assert facade.client.get("/search").text == "ok"
    assert facade.admin.get("/-/healthz").status_code == 200


def test_serve_ends_well_and_says_where_it_listened(facade: Facade) -> None:
    assert facade.close() == 0
    said = facade.process.output()
    assert "2 workers" in said
    assert "Traceback" not in said
    token = facade.directory / ".strangler" / "admin-token"
    assert token.stat().st_mode & 0o077 == 0
    assert token.read_text().strip() not in said
