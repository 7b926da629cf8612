"""Upstreams that are killed and come back again and again, under steady reads and writes."""

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest

from tests.integration.facade.harness import Client

ROOT = Path(__file__).parents[3]
KILLS = 20
BROKEN = (ConnectionError, asyncio.IncompleteReadError)


@dataclass
class Mortal:
    """An upstream's process, and the port that stays its own while it is dead."""

    notes: Path
    process: asyncio.subprocess.Process | None = None
    dead: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))  # bound, not listening: who connects is refused
        self.port = self._holder.getsockname()[1]

    async def live(self) -> None:
        arguments = (str(ROOT / "tests/integration/facade/mortal.py"), str(self.port), str(self.notes))
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", *arguments, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(30):
            assert await self.process.stdout.readline() == b"listening\n"
        if self.dead:
            self.dead[-1].append(monotonic())

    async def die(self) -> None:
        if self.process is not None:
            self.dead.append([monotonic()])
            self.process.kill()
            await self.process.communicate()
            self.process = None

    async def end(self) -> None:
        await self.die()
        self._holder.close()

    def was_dead(self, begin: float, end: float) -> bool:
        return any(begin <= up and end >= down for down, up in self.dead)

    def noted(self) -> Counter[str]:
        return Counter(self.notes.read_text().splitlines()) if self.notes.exists() else Counter()


@dataclass(frozen=True)
class Asked:
    """One request and its end; status 0: none."""

    method: str
    target: str
    name: str
    client: int
    status: int
    begin: float
    end: float
    text: bytes = b""


@dataclass
class Chaos:
    """A facade of two workers, two upstreams, and clients that never stop asking."""

    monolith: Mortal
    service: Mortal
    process: asyncio.subprocess.Process
    port: int
    directory: Path
    asked: list[Asked] = field(default_factory=list)
    ended: bool = False
    numbers: Iterator[int] = field(default_factory=count)

    async def asking(self, method: str, target: str) -> None:
        """One client: a request behind the other, now and then on a new connection, so that no worker is
        without clients for long."""
        client, own = None, next(self.numbers)
        for number in count():
            if self.ended:
                break
            name, begin = f"{target}-{own}-{number}", monotonic()
            status, text = 0, b""
            try:
                client = client or Client(*await asyncio.open_connection("127.0.0.1", self.port))
                if method == "GET":
                    answer = await client.get(target.encode())
                else:
                    answer = await client.post(target.encode(), name.encode())
                    assert answer.status != 200 or answer.body == name.encode()
                status, text = answer.status, answer.body
                closes = b"close" in answer.values(b"connection") or number % 25 == 0
            except BROKEN:
                closes = True
            if closes and client is not None:
                client.close()
                client = None
            self.asked.append(Asked(method, target, name, own, status, begin, monotonic(), text))
            if status != 200:
                await asyncio.sleep(0.01)  # as any client that is refused
        if client is not None:
            client.close()

    def workers(self) -> list[dict[str, Any]]:
        return [orjson.loads(file.read_bytes()) for file in self.directory.glob("*.watch")]

    def open_files(self) -> dict[int, int]:
        return {
            each["pid"]: sum(1 for _ in Path(f"/proc/{each['pid']}/fd").iterdir()) for each in self.workers()
        }

    def quiet(self) -> bool:
        """Whether no worker holds anything."""
        held = ("connections", "requests", "active", "clients", "repeated", "in_flight")
        return not any(each[name] for each in self.workers() for name in held)

    def answered(self, since: float) -> list[Asked]:
        """The requests that were sent and answered since then."""
        lately = takewhile(lambda each: each.end > since, reversed(self.asked))
        return [each for each in lately if each.begin > since and each.status == 200]

    def reads(self, since: float) -> int:
        return sum(each.target == "/search/saved" and each.method == "GET" for each in self.answered(since))

    def clients(self, since: float) -> int:
        """How many clients got an answer to a request that they sent since then."""
        return len({each.client for each in self.answered(since)})

    def admitted(self, since: float) -> bool:
        return all(each["at"] > since and not each["ejected"] for each in self.workers())

    async def until(self, condition: Callable[[], Any]) -> None:
        deadline = monotonic() + 30
        while not condition():
            assert monotonic() < deadline, (self.workers(), self.asked[-10:])
            await asyncio.sleep(0.01)


@pytest.fixture
async def chaos(tmp_path: Path) -> AsyncIterator[Chaos]:
    monolith, service = Mortal(tmp_path / "monolith"), Mortal(tmp_path / "service")
    await monolith.live()
    await service.live()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.facade.watched_facade",
        str(monolith.port),
        str(service.port),
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        port = int(await process.stdout.readline())
    yield Chaos(monolith, service, process, port, tmp_path)
    process.terminate()
    async with asyncio.timeout(30):
        await process.communicate()
    await monolith.end()
    await service.end()


def _reached(count: Callable[[float], int], since: float, number: int) -> bool:
    return count(since) >= number


async def test_i2_upstreams_that_die_twenty_times_cost_no_read_and_no_write(chaos: Chaos) -> None:
    await chaos.until(lambda: len(chaos.workers()) == 2)
    kinds = [(method, target) for method in ("GET", "POST") for target in ("/search/saved", "/else")]
    warm = [asyncio.create_task(chaos.asking(*kind)) for kind in kinds]
    await chaos.until(lambda: chaos.clients(0) == len(warm))
    chaos.ended = True
    await asyncio.gather(*warm)
    await chaos.until(chaos.quiet)
    before = {each["pid"]: each["tasks"] for each in chaos.workers()}
    files = chaos.open_files()

    chaos.ended = False
    load = [asyncio.create_task(chaos.asking(*kind)) for kind in kinds for _ in range(3)]
    for _ in range(KILLS):
        for upstream in (chaos.service, chaos.monolith):
            await upstream.die()
            await chaos.until(partial(_reached, chaos.reads, monotonic(), 5))
            await upstream.live()
            # One at a time: nobody may still be on the way to the other one when that dies.
            await chaos.until(partial(chaos.admitted, monotonic()))
            await chaos.until(partial(_reached, chaos.clients, monotonic(), len(load)))
    chaos.ended = True
    await asyncio.gather(*load)

    reads = [each for each in chaos.asked if each.method == "GET"]
    failed = [each for each in reads if each.target == "/search/saved" and each.status != 200]
    assert not failed, (chaos.monolith.dead, chaos.service.dead)
    unexcused = [
        each for each in reads if each.status != 200 and not chaos.monolith.was_dead(each.begin, each.end)
    ]
    assert not unexcused
    assert sum(each["fallbacks"] for each in chaos.workers()) >= KILLS

    for upstream, target in ((chaos.service, "/search/saved"), (chaos.monolith, "/else")):
        noted = upstream.noted()
        assert max(noted.values()) == 1, "a write was applied twice"
        writes = {each.name: each.status for each in chaos.asked if each.method == "POST"}
        acknowledged = {
            name for name, status in writes.items() if status == 200 and name.startswith(f"{target}-")
        }
        assert acknowledged <= set(noted), "an acknowledged write is lost"
        assert all(name.startswith(f"{target}-") for name in noted), "a write changed sides"

    await chaos.until(chaos.quiet)
    assert {each["pid"]: each["tasks"] for each in chaos.workers()} == before
    await chaos.until(lambda: all(number <= files[pid] for pid, number in chaos.open_files().items()))
