"""Latency at a constant rate: requests are due at fixed times, however long the answers before them take.

A latency counts from when its request was due, not from when a connection was free for it: an answer that
keeps others waiting is in their numbers too (no coordinated omission).
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from urllib.parse import urlsplit

from benchmarks.load import CONNECTIONS, request

_END = b"\r\n\r\n"
_PATIENCE = 5.0
"""Seconds for the last answers to come."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from when requests were due to their whole answers; ``rate``: how many came a second."""

    p50: float
    p99: float
    rate: float

    @classmethod
    def of(cls, seconds: list[float], lasted: float) -> "Latencies":
        """From single latencies in seconds, answered within ``lasted`` seconds."""
        ordered = sorted(seconds)
        at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99)]
        return cls(at[0], at[1], len(ordered) / lasted)


def latencies(url: str, headers: dict[str, str], rate: float, seconds: float) -> Latencies:
    """Ask ``rate`` times a second in a process of its own. What does not keep up with that shows in latencies
    that grow all the time. Raises RuntimeError when an answer is an error."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.open_loop",
        url,
        str(rate),
        str(seconds),
        json.dumps(headers),
    ]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(f"the load met errors:\n{run.stderr}")
    return Latencies(**json.loads(run.stdout))


class _Connection:
    """One connection, with a request on its way or none. All answers are as long as the first."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self._received = 0
        self._head = b""
        self._size = 0

    def ask(self, message: bytes, due: float) -> None:
        self.due = due
        self.socket.send(message)

    def answered(self) -> bool:
        """Read; whether the answer is whole. Raises RuntimeError for an error."""
        data = self.socket.recv(65536)
        if not self._received and not data.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(f"the load met an error: {data[:200]!r}")
        self._received += len(data)
        if not self._size:
            self._head += data
            end = self._head.find(_END)
            if end < 0:
                return False
            length = self._head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            self._size = end + len(_END) + int(length)
        if self._received < self._size:
            return False
        self._received = 0
        self._head, self._size = b"", 0  # a request id of another length is another size
        return True


def drive(host: str, port: int, message: bytes, rate: float, seconds: float) -> Latencies:
    """Ask from this process, on CONNECTIONS connections."""
    connections = [_Connection(host, port) for _ in range(CONNECTIONS)]
    poll = select.epoll()
    by_number = {each.socket.fileno(): each for each in connections}
    for number in by_number:
        poll.register(number, select.EPOLLIN)
    free = deque(connections)
    clock = time.perf_counter
    total, asked, measured = int(rate * seconds), 0, []
    began = clock()
    while len(measured) < total:
        now = clock()
        while asked < total and free and began + asked / rate <= now:
            free.popleft().ask(message, began + asked / rate)
            asked += 1
        until = began + asked / rate - clock() if asked < total and free else _PATIENCE
        # select takes microseconds where epoll takes milliseconds, and an epoll can be selected.
        if until > 0 and not select.select([poll], [], [], until)[0]:
            if until == _PATIENCE:
                raise RuntimeError("answers are missing")
            continue
        for number, _ in poll.poll(0):
            connection = by_number[number]
            if connection.answered():
                measured.append(clock() - connection.due)
                free.append(connection)
    return Latencies.of(measured, clock() - began)


if __name__ == "__main__":
    address = urlsplit(sys.argv[1])
    result = drive(
        address.hostname or "",
        address.port or 80,
        request(sys.argv[1], json.loads(sys.argv[4])),
        float(sys.argv[2]),
        float(sys.argv[3]),
    )
    print(json.dumps({"p50": result.p50, "p99": result.p99, "rate": result.rate}))
