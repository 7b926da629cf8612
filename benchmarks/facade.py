"""Requests a second through the facade and through Envoy, each on one core, before the same backend.

The proxy has the first core; the load and the backend share the second.
"""

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jwt

from benchmarks.load import requests_per_second
from benchmarks.pinning import available, pinned
from benchmarks.proxies import envoy_command, ours_command, ours_environment
from benchmarks.rounds import Options, interleave, report

_TARGET = "/api/domain3/items/42?page=2"


def main() -> None:
    options = Options.parse(__doc__ or "")
    cores = available()
    proxy_core, load_core = cores[0], cores[-1]
    rounds, seconds = (3, 3.0) if options.quick else (5, 6.0)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        backend, ours, envoy = _free_port(), _free_port(), _free_port()
        with pinned(load_core):
            stack.enter_context(_running([sys.executable, "-m", "benchmarks.backend", str(backend)], backend))
        with pinned(proxy_core):
            stack.enter_context(_running(ours_command(ours), ours, ours_environment(backend)))
            stack.enter_context(_running(envoy_command(envoy, backend, directory), envoy))

        def load(port: int) -> float:
            with pinned(load_core):
                return requests_per_second(f"http://127.0.0.1:{port}{_TARGET}", _headers(), seconds)

        samples = interleave({"facade": lambda: load(ours), "envoy": lambda: load(envoy)}, rounds)
    report(
        "Facade throughput on one core",
        samples,
        "requests/s",
        {"vs_envoy": samples.median("facade") / samples.median("envoy")},
        options,
    )


def _headers() -> dict[str, str]:
    token = jwt.encode({"sub": "user-4711", "role": "member"}, "benchmark" * 4, algorithm="HS256")
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "benchmark"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A server process, from when it answers until the block ends."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not serve")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=40)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n\r\n")
        return connection.recv(12).startswith(b"HTTP/1.1 200")
    return False


if __name__ == "__main__":
    main()
