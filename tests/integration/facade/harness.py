"""The facade's data path between real sockets: a raw client, raw upstreams that record what reached them."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from uvicorn.server import ServerState

from facade.config import Trust, Upstream
from facade.evidence import Comparison, ShadowCounts
from facade.ports import WorkerStatus
from facade.routes import Route, RouteTable
from facade.snapshot import PhaseTraffic, Snapshot
from facade.tally import ReadCounts
from facade.worker import Worker
from flags.rollout import Rollout
from flags.rule import OFF, ON, Rule
from flags.side import Side
from flags.snapshot import FlagSnapshot


@dataclass
class Received:
    """One request as an upstream saw it."""

    head: bytes
    body: bytes

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n")[0]

    @property
    def lines(self) -> list[bytes]:
        return self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")[1:]

    def values(self, name: bytes) -> list[bytes]:
        pairs = (line.partition(b": ") for line in self.lines)
        return [value for key, _, value in pairs if key.lower() == name.lower()]


Answering = Callable[
    ["RecordingUpstream", Received, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]
]


def ok(body: bytes = b"hello", *lines: bytes) -> Answering:
    async def answer(
        upstream: "RecordingUpstream",
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        head = b"".join(
            line + b"\r\n" for line in (b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body))
        )
        writer.write(head + b"\r\n" + (b"" if request.line.startswith(b"HEAD") else body))
        await writer.drain()
        return True

    return answer


def raw(answer_bytes: bytes, *, keep: bool = True) -> Answering:
    async def answer(
        upstream: "RecordingUpstream",
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        writer.write(answer_bytes)
        await writer.drain()
        return keep

    return answer


async def hung(
    upstream: "RecordingUpstream",
    request: Received,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    """Says nothing until the other end goes."""
    return bool(await reader.read())


def held(gate: asyncio.Event, answer: Answering) -> Answering:
    """``answer``, once the gate is open."""

    async def later(
        upstream: "RecordingUpstream",
        request: Received,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        await gate.wait()
        return await answer(upstream, request, reader, writer)

    return later


@dataclass
class RecordingUpstream:
    """Records each request whole, then answers it as told; ``early`` answers before the body is read."""

    answer: Answering = field(default_factory=ok)
    early: bool = False
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    port: int = 0
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    trust: Trust = field(default_factory=Trust)
    own_host: bool = False
    _server: asyncio.Server | None = None

    async def start(self) -> "RecordingUpstream":
        self._server = await asyncio.start_server(
            self._serve, self.host, self.port, limit=2**20, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self.open):
                writer.transport.abort()
            await self._server.wait_closed()

    @property
    def upstream(self) -> Upstream:
        return Upstream(self.host, self.port, self.tls is not None, self.trust, self.own_host)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(condition)

    async def close_idle(self) -> None:
        for writer in list(self.open):
            writer.close()
        await self.until(lambda: not self.open)

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        await self._notify()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                request = Received(head, b"" if self.early else await read_body(head, reader))
                self.requests.append(request)
                await self._notify()
                if not await self.answer(self, request, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()
            await self._notify()


async def read_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    fields = {
        name.lower(): value for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n")[1:])
    }
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        while (await reader.readline()).strip():
            pass
        return body
    return await reader.readexactly(int(fields.get(b"content-length", b"0")))


@dataclass
class Response:
    status: int
    head: bytes
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        pairs = (line.partition(b": ") for line in self.head.split(b"\r\n")[1:])
        return [value for key, _, value in pairs if key.lower() == name.lower()]


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, *, head_only: bool = False) -> Response:
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            response = Response(status, head, b"")
            if head_only or status < 200 or status in {204, 304}:
                return response
            if response.values(b"transfer-encoding") or response.values(b"content-length"):
                return replace(response, body=await read_body(head, self.reader))
            return replace(response, body=await self.reader.read())

    async def ask(self, data: bytes, *, head_only: bool = False) -> Response:
        await self.send(data)
        return await self.receive(head_only=head_only)

    async def get(self, target: bytes, *lines: bytes) -> Response:
        return await self.ask(
            b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: shop.test", *lines, b"", b""))
        )

    async def post(self, target: bytes, body: bytes, *lines: bytes) -> Response:
        head = (
            b"POST " + target + b" HTTP/1.1",
            b"Host: shop.test",
            b"Content-Length: %d" % len(body),
            *lines,
        )
        return await self.ask(b"\r\n".join((*head, b"", body)))

    async def closed(self) -> bool:
        async with asyncio.timeout(30):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    def close(self) -> None:
        self.writer.close()


@dataclass
class Control:
    """A control plane in memory: all ports."""

    snapshot: Snapshot
    failing: Exception | None = None
    statuses: list[WorkerStatus] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    counts: list[ShadowCounts] = field(default_factory=list)
    samples: list[Comparison] = field(default_factory=list)
    progress: dict[tuple[str, Side], float] = field(default_factory=dict)
    told: list[ReadCounts] = field(default_factory=list)

    def passed(self) -> dict[tuple[str, Side], float]:
        return self.progress

    def revision(self) -> int:
        if self.failing is not None:
            raise self.failing
        return self.snapshot.revision

    def load(self) -> Snapshot:
        if self.failing is not None:
            raise self.failing
        return self.snapshot

    def report(self, status: WorkerStatus) -> None:
        self.statuses.append(status)

    def retire(self, worker: str) -> None:
        self.retired.append(worker)

    def tell(self, counts: Sequence[ReadCounts]) -> None:
        if self.failing is not None:
            raise self.failing
        self.told += counts

    def record(self, worker: str, counts: Any, samples: Any) -> None:
        self.counts += counts
        self.samples += samples


ROUTES = (
    Route("GET", "/search", "search"),
    Route("GET", "/search/{id}", "search"),
    Route("*", "/search/saved", "search"),
    Route("GET", "/search/export", "search", retired=True),
)


def rule(flag: str, percent: int) -> Rule:
    return {0: OFF, 100: ON}.get(percent) or Rule(percent * 100, (Rollout(f"{flag}:".encode(), percent, 0),))


def picture(
    revision: int,
    *,
    reads: Side | int = Side.MONOLITH,
    writes: int | None = None,
    shadow: int = 0,
    calibrate: int = 0,
    **traffic: Any,
) -> Snapshot:
    """One phase, ``search``. Reads and writes are split where they are given in percent."""
    share = reads if not isinstance(reads, Side) else 0
    phase = PhaseTraffic(
        "search",
        "ramp",
        1,
        **{"writer": Side.MONOLITH} | traffic,
        reads=reads if isinstance(reads, Side) else None,
        split_writes=writes is not None,
        shadow=shadow > 0,
    )
    shares = {"search.reads": share, "search.writes": writes or 0, "search.shadow": shadow}
    shares["search.calibrate"] = calibrate
    flags = FlagSnapshot(revision, {name: rule(name, percent) for name, percent in shares.items()})
    return Snapshot(revision, RouteTable.compile(ROUTES), {"search": phase}, flags)


@dataclass
class Facade:
    """A facade in this process, between ``monolith`` and ``service``."""

    monolith: RecordingUpstream
    service: RecordingUpstream
    control: Control
    worker: Worker
    state: ServerState
    port: int
    stack: AsyncExitStack

    async def client(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.stack.callback(client.close)
        return client

    async def serve(self, *, revision: int | None = None, **how: Any) -> None:
        """Publish a picture and wait until the worker serves it."""
        self.control.snapshot = picture(revision or self.control.snapshot.revision + 1, **how)
        await self.until(lambda: self.worker.path.snapshot is self.control.snapshot)

    def late(self) -> None:
        """Let the deadlines of all requests pass that are under way."""
        for exchange in self.worker.path.active:
            exchange.expires = 0.0

    @staticmethod
    async def until(condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 (what is awaited has no event to wait for)
                await asyncio.sleep(0.005)


Starting = Callable[..., Awaitable[Facade]]
