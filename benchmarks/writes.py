"""Writes at a steady rate, each with its own reference, and what is to be said of them afterwards.

The load is open: a write is due when it is due, and its latency counts from then, however busy the clients
are. ``python -m benchmarks.writes URL RATE FILE`` sends until SIGTERM and leaves a line for each write.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import cast
from urllib.parse import urlsplit

import uvloop

PATIENCE_SECONDS = 10.0
"""How long the last answers are waited for."""


@dataclass(frozen=True, slots=True)
class Write:
    """When it was due and when it was answered, in seconds since 1970; ``status`` 0 when it never was."""

    ref: str
    due: float
    done: float
    status: int

    @property
    def acknowledged(self) -> bool:
        return self.status == 201

    @property
    def ms(self) -> float:
        return (self.done - self.due) * 1000


def read(file: Path) -> list[Write]:
    """What a load left behind."""
    return [Write(*json.loads(line)) for line in file.read_text().splitlines()]


def added_p99(writes: Sequence[Write], began: float, ended: float, calm: float) -> float:
    """The p99, in ms, of what a time from ``began`` to ``ended`` added to the writes that met it.

    It is added to the median of the writes that were due in the ``calm`` seconds before and answered by then.
    Raises ValueError when there are no such writes.
    """
    before = [write.ms for write in writes if began - calm <= write.due and write.done <= began]
    met = [write.ms for write in writes if write.due <= ended and write.done >= began]
    if not before or not met:
        raise ValueError("no write was sent around the switch; the load has to run before it begins")
    return p99(met) - median(before)


def p99(values: Sequence[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def lost_and_doubled(writes: Sequence[Write], stored: Sequence[str]) -> tuple[int, int]:
    """How many acknowledged writes are not ``stored``, and how many references are there more than once."""
    found = Counter(stored)
    lost = sum(1 for write in writes if write.acknowledged and not found[write.ref])
    return lost, sum(1 for number in found.values() if number > 1)


class _Client(asyncio.Protocol):
    """One connection; one write at a time."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._write: tuple[str, float] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, ref: str, due: float) -> None:
        self._write = (ref, due)
        body = ref.encode()
        self._transport.write(self._load.head + b"%d\r\n\r\n%b" % (len(body), body))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        _, _, length = head.lower().partition(b"content-length:")
        if len(body) < int(length.split(b"\r\n")[0]):
            return
        self._received = b""
        self._answered(int(head.split(b" ", 2)[1]))
        self._load.idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self in self._load.idle:
            self._load.idle.remove(self)
        self._answered(0)

    def _answered(self, status: int) -> None:
        if self._write is not None:
            (ref, due), self._write = self._write, None
            self._load.answered(ref, due, status)


class Load:
    """``rate`` writes a second, over as many connections as wait for an answer at a time."""

    def __init__(self, url: str, rate: float) -> None:
        address = urlsplit(url)
        self.idle: deque[_Client] = deque()
        self.writes: list[Write] = []
        self.head = b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: text/plain\r\ncontent-length: " % (
            address.path.encode(),
            address.netloc.encode(),
        )
        self._host, self._port = address.hostname or "", address.port or 80
        self._rate = rate
        self._sent: list[str] = []
        self._quiet = asyncio.Event()

    async def run(self, ending: asyncio.Event) -> list[Write]:
        """Send until ``ending`` is set; every write that was sent, answered or not."""
        loop = asyncio.get_running_loop()
        began = time.time()
        while not ending.is_set():
            due = began + len(self._sent) / self._rate
            if (early := due - time.time()) > 0:
                await asyncio.sleep(early)
            if not self.idle:
                _, client = await loop.create_connection(lambda: _Client(self), self._host, self._port)
                self.idle.append(client)
            self._sent.append(f"order-{len(self._sent)}")
            self._quiet.clear()
            self.idle.popleft().send(self._sent[-1], due)
        until = time.time() + PATIENCE_SECONDS
        with suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), PATIENCE_SECONDS)
        answered = {write.ref for write in self.writes}
        return self.writes + [Write(ref, until, until, 0) for ref in self._sent if ref not in answered]

    def answered(self, ref: str, due: float, status: int) -> None:
        self.writes.append(Write(ref, due, time.time(), status))
        if len(self.writes) == len(self._sent):
            self._quiet.set()


async def _until_stopped(url: str, rate: float) -> list[Write]:
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    return await Load(url, rate).run(ending)


if __name__ == "__main__":
    sent = uvloop.run(_until_stopped(sys.argv[1], float(sys.argv[2])))
    Path(sys.argv[3]).write_text("".join(json.dumps(astuple(write)) + "\n" for write in sent))
