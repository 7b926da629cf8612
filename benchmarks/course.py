"""What every measurement of the facade is made on: two cores, a backend, proxies and loads pinned to them."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt

from benchmarks import ours
from benchmarks.load import CONNECTIONS, requests_per_second
from benchmarks.open_loop import Latencies, latencies
from benchmarks.pinning import pinned
from benchmarks.servers import free_port, running

_TARGET = "/api/domain3/items/42?page=2"


@dataclass(frozen=True, slots=True)
class Course:
    """Proxies run on the core ``proxy``, the load and the backend on ``load``. Every contender is measured
    ``rounds`` times for ``seconds``; configurations and logs are in ``directory``."""

    directory: Path
    proxy: int
    load: int
    rounds: int
    seconds: float

    @contextmanager
    def backend(self, *cores: int) -> Iterator[int]:
        """The backend's port."""
        port = free_port()
        with (
            pinned(*(cores or (self.load,))),
            running([sys.executable, "-m", "benchmarks.backend", str(port)], port),
        ):
            yield port

    @contextmanager
    def facade(
        self,
        backend: int,
        *cores: int,
        workers: int = 1,
        shadow: bool = False,
        service: int | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Our facade's port and process id. Its access log is written to a file."""
        port = free_port()
        command = ours.command(port, workers=workers)
        environment = ours.environment(backend, shadow=shadow, service=service)
        log = self.directory / f"access-{port}.log"
        with pinned(*(cores or (self.proxy,))), running(command, port, environment, log) as process:
            yield port, process

    @contextmanager
    def peer(
        self, port: int, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Iterator[int]:
        """Another proxy's port."""
        with pinned(self.proxy), running(command, port, environment):
            yield port

    def throughput(self, port: int, *cores: int, connections: int = CONNECTIONS) -> float:
        """Requests a second in a closed loop."""
        with pinned(*(cores or (self.load,))):
            return requests_per_second(_url(port), _fields(), self.seconds, connections)

    def p99(self, port: int, rate: float) -> float:
        """Milliseconds, at ``rate`` requests a second."""
        return self.latencies(port, rate).p99

    def latencies(self, port: int, rate: float) -> Latencies:
        """At ``rate`` requests a second."""
        with pinned(self.load):
            return latencies(_url(port), _fields(), rate, self.seconds)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}{_TARGET}"


def _fields() -> dict[str, str]:
    token = jwt.encode({"sub": "user-4711", "role": "member"}, "benchmark" * 4, algorithm="HS256")
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "benchmark"}
