"""WebSockets between a real client and a real server: messages, pings and the ways to end, both ways."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.integration.facade.harness import Facade, RecordingUpstream, Starting

CODES = [1000, 1001, 1011, 4000, 4999]
LARGE = "ä" * 200_000


@dataclass
class SpeakingUpstream(RecordingUpstream):
    """Echoes what it hears. Whoever asks it to close gets the code and reason that were asked for."""

    sessions: list[ServerConnection] = field(default_factory=list)
    ended: asyncio.Queue[tuple[int | None, str | None]] = field(default_factory=asyncio.Queue)
    _speaking: Server | None = None

    async def start(self) -> "SpeakingUpstream":
        self._speaking = await serve(self._speak, self.host, 0)
        self.port = next(iter(self._speaking.sockets)).getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._speaking is not None:
            self._speaking.close()
            await self._speaking.wait_closed()

    async def _speak(self, session: ServerConnection) -> None:
        self.sessions.append(session)
        async with asyncio.timeout(30):
            try:
                async for message in session:
                    if isinstance(message, str) and message.startswith("close "):
                        await session.close(int(message.split()[1]), "you asked")
                    else:
                        await session.send(message)
            except ConnectionClosed:
                pass
            await session.wait_closed()
        await self.ended.put((session.close_code, session.close_reason))


@dataclass
class Talk:
    """One WebSocket through the facade."""

    facade: Facade
    upstream: SpeakingUpstream
    client: ClientConnection

    async def end(self) -> tuple[int | None, str | None]:
        """How the upstream saw it end. Nothing is left of it at the facade then."""
        async with asyncio.timeout(30):
            seen = await self.upstream.ended.get()
        path = self.facade.worker.path
        await self.facade.until(lambda: not self.facade.state.connections and not path.sides[""].size)
        return seen


@pytest.fixture
async def talk(start: Starting) -> AsyncIterator[Talk]:
    upstream = SpeakingUpstream()
    facade = await start(monolith=upstream)
    async with connect(f"ws://127.0.0.1:{facade.port}/chat") as client:
        yield Talk(facade, upstream, client)


async def test_messages_and_pings_go_both_ways(talk: Talk) -> None:
    async with asyncio.timeout(30):
        for message in ("text", b"\x00\xff", LARGE):
            await talk.client.send(message)
            assert await talk.client.recv() == message
        await talk.client.send([LARGE, LARGE])  # in fragments
        assert await talk.client.recv() == LARGE + LARGE
        await (await talk.client.ping(b"there?"))
        await (await talk.upstream.sessions[0].ping(b"and you?"))


@pytest.mark.parametrize("code", CODES)
async def test_a_clients_close_code_reaches_the_upstream(talk: Talk, code: int) -> None:
    await talk.client.close(code, "enough")
    assert await talk.end() == (code, "enough")
    assert talk.client.close_code == code, "the upstream's echo came back"


@pytest.mark.parametrize("code", CODES)
async def test_an_upstreams_close_code_reaches_the_client(talk: Talk, code: int) -> None:
    await talk.client.send(f"close {code}")
    with pytest.raises(ConnectionClosed) as closed:
        await talk.client.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, "you asked")
    assert (await talk.end())[0] == code


async def test_an_upstream_that_dies_is_seen_as_just_that(talk: Talk) -> None:
    await talk.client.send("hello")
    await talk.client.recv()
    talk.upstream.sessions[0].transport.abort()
    with pytest.raises(ConnectionClosed) as closed:
        await talk.client.recv()
    assert closed.value.rcvd is None, "no close frame is made up"
    assert talk.client.close_code == 1006
    await talk.end()


async def test_a_client_that_vanishes_is_seen_as_just_that(talk: Talk) -> None:
    await talk.client.send("hello")
    await talk.client.recv()
    talk.client.transport.abort()
    assert (await talk.end())[0] == 1006


async def test_a_refused_handshake_is_the_upstreams_answer(start: Starting) -> None:
    facade = await start()
    client = await facade.client()
    answer = await client.get(b"/chat", b"Connection: Upgrade", b"Upgrade: websocket")
    assert (answer.status, answer.body) == (200, b"hello")
    assert (await client.get(b"/")).status == 200
