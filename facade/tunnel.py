"""After a switch of protocols (WebSocket): bytes both ways, with back-pressure, until one side closes."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from facade.upstream import UpstreamConnection

if TYPE_CHECKING:
    from facade.protocol import FacadeProtocol


class _End(asyncio.Protocol):
    """One end: what it receives goes to the other end."""

    def __init__(self, transport: asyncio.Transport, ended: Callable[[], None]) -> None:
        self.transport = transport
        self.other: _End = cast("_End", None)
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self.other.transport.close()
        self._ended()

    def shutdown(self) -> None:
        """The worker stops: uvicorn asks each of its connections to end."""
        self.transport.close()


def tunnel(client: "FacadeProtocol", upstream: UpstreamConnection) -> None:
    """Tie the two connections together; neither speaks HTTP from now on."""
    near = _End(client.transport, client.forgotten)
    far = _End(upstream.transport, lambda: upstream.pool.lost(upstream))
    near.other, far.other = far, near
    early = client.become(near)
    client.transport.set_protocol(near)
    upstream.transport.set_protocol(far)
    if early:
        upstream.transport.write(early)
    client.transport.resume_reading()
