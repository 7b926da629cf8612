"""Closed-loop HTTP load: wrk where it is installed, else a client of our own on uvloop."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS = 32


def requests_per_second(
    url: str, headers: Mapping[str, str], seconds: float, connections: int = CONNECTIONS
) -> float:
    """Keep connections busy for ``seconds``. Raises RuntimeError when an answer is an error."""
    wrk = shutil.which("wrk")
    if wrk is None:
        command = [
            sys.executable,
            "-m",
            "benchmarks.load",
            url,
            str(seconds),
            str(connections),
            *(f"{k}: {v}" for k, v in headers.items()),
        ]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    fields = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = [
        wrk,
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        *fields,
        url,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"the load met errors:\n{output}")
    found = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    if found is None:
        raise RuntimeError(f"wrk's output was not understood:\n{output}")
    return float(found[1])


def request(url: str, headers: Mapping[str, str]) -> bytes:
    """A GET of ``url`` as it is on the wire."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{lines}\r\n".encode()


class _Client(asyncio.Protocol):
    """One connection that asks again as soon as it is answered. All answers are as long as the first."""

    answered = 0

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = b""
        self._length = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        if not self._length:
            found = re.search(rb"(?i)content-length: (\d+)", self._received)
            self._length = int(found[1]) if found else 0
        if len(self._received) >= end + 4 + self._length:
            if not self._received.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"the load met an error: {self._received[:200]!r}")
            self._received = b""
            _Client.answered += 1
            self._transport.write(self._request)


async def _drive(host: str, port: int, request: bytes, seconds: float, connections: int) -> float:
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(request), host, port)
    before, started = _Client.answered, perf_counter()
    await asyncio.sleep(seconds)
    return (_Client.answered - before) / (perf_counter() - started)


if __name__ == "__main__":
    url = urlsplit(sys.argv[1])
    head = request(sys.argv[1], dict(line.split(": ", 1) for line in sys.argv[4:]))
    seconds, connections = float(sys.argv[2]), int(sys.argv[3])
    print(uvloop.run(_drive(url.hostname or "", url.port or 80, head, seconds, connections)))
