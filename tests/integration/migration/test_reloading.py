"""`strangler serve` takes a new plan at SIGHUP, and no client notices."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.integration.migration.serving import SECONDS, Facade


class Upstream:
    """Answers everything with its name."""

    def __init__(self, name: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


class Load:
    """Clients that ask without a pause, two on kept connections and one on a new one each time."""

    def __init__(self, url: httpx.URL) -> None:
        self.seen: Counter[str] = Counter()
        self.failures: list[str] = []
        self._url = f"{url}/search"
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._kept, self._kept, self._new)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _kept(self) -> None:
        with httpx.Client(trust_env=False, timeout=SECONDS) as client:
            self._ask(lambda: client.get(self._url))

    def _new(self) -> None:
        def ask() -> httpx.Response:
            with httpx.Client(trust_env=False, timeout=SECONDS) as client:
                return client.get(self._url)

        self._ask(ask)

    def _ask(self, ask: Callable[[], httpx.Response]) -> None:
        while not self._ending.wait(0.005):
            try:
                self.seen[ask().raise_for_status().text] += 1
            except httpx.HTTPError as error:
                self.failures.append(repr(error))


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    both = Upstream("old"), Upstream("new")
    yield both
    for each in both:
        each.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_i6_a_plan_is_taken_whole_or_not_at_all_and_nobody_fails(
    tmp_path: Path, upstreams: tuple[Upstream, Upstream]
) -> None:
    old, new = upstreams
    facade = Facade(tmp_path, old.url)
    plan = tmp_path / "strangler.toml"
    valid = plan.read_text()
    try:
        facade.process.wait_for_http(f"{facade.admin.base_url}/-/readyz", SECONDS)
        with Load(facade.client.base_url) as load:
            until(lambda: load.seen["old"] > 20)

            plan.write_text(valid.replace("[monolith]", "[monolit]"))
            os.kill(facade.process.pid, signal.SIGHUP)
            until(lambda: "last valid" in str(facade.readiness()[1]["degraded"]))
            assert facade.readiness()[0] == 200
            assert load.seen["new"] == 0

            plan.write_text(valid.replace(old.url, new.url))
            os.kill(facade.process.pid, signal.SIGHUP)
            until(lambda: load.seen["new"] > 20)
            until(lambda: {facade.client.get("/search").text for _ in range(20)} == {"new"})
            until(lambda: facade.readiness() == (200, {"status": "ready", "workers": 2, "degraded": None}))
        assert not load.failures
    finally:
        assert facade.close() == 0
