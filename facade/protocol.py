"""A client's connection: requests parsed and judged one at a time, answered in order.

Uvicorn makes one for every connection it accepts, through its ``http=`` option. A pipelined request waits
unparsed until the one before it is answered.
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from facade.answer import own
from facade.exchange import Exchange
from facade.headers import Fields, Refused
from facade.presence import gone, reset_at_close
from facade.request import RequestParser

if TYPE_CHECKING:
    from uvicorn import Config
    from uvicorn.server import ServerState

    from facade.data_path import DataPath
    from facade.worker import Worker

_STASH = 64 * 1024
"""Bytes of a next request (or of a body that has to wait) after which the client is not read from."""
_LAST_CHANCE = 1.0
"""Seconds that a kept connection gets for one more request before it is closed: it may be on its way."""
_LINGER = 2.0
"""Seconds for which what a client still sends is read and dropped, so that it can read its answer."""


class FacadeProtocol(asyncio.Protocol):
    """The server side of one client connection. ``closing``: it ends with the present answer."""

    __slots__ = (
        "_exchange",
        "_lingering",
        "_parser",
        "_path",
        "_paused",
        "_reading_body",
        "_server_state",
        "_since",
        "_stash",
        "_successor",
        "closing",
        "transport",
    )

    def __init__(
        self,
        config: "Config",  # noqa: ARG002 (uvicorn passes it)
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        worker: Worker = app_state["worker"]
        self._path: DataPath = worker.path
        self._server_state = server_state
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.closing = False
        self._parser: RequestParser = cast("RequestParser", None)
        self._exchange: Exchange | None = None
        self._successor: Any = None
        self._stash = b""
        self._reading_body = False
        self._paused = False
        self._lingering = False
        self._since = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._server_state.connections.add(cast("Any", self))  # uvicorn's type names only its own protocols
        self._path.clients.add(self)
        self.closing = self._path.draining
        self._parser = RequestParser(self._path.edge(transport), self._path.limits)
        self._since = monotonic()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self.forgotten()
        self._parser.close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandoned()

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        if self._exchange is None:
            self._read_head(data)
        elif self._reading_body:
            self._read_body(data)
        else:
            self._stash += data
            if len(self._stash) > _STASH:
                self._pause()

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.pause_receiving()

    def resume_writing(self) -> None:
        if self._exchange is not None:
            self._exchange.resume_receiving()

    # Called by uvicorn and by the data path

    def shutdown(self) -> None:
        """End after the present answer, or the next if that comes soon: it may be on its way already."""
        self._path.draining = True
        self.closing = True
        if self._exchange is None and not self._stash:
            self._since = monotonic()

    def sweep(self, now: float) -> None:
        """Close a connection that is idle, or whose request comes too slowly."""
        waited = now - self._since
        timeouts = self._path.timeouts
        if self._exchange is None:
            if self._lingering:
                if waited > _LINGER:
                    self.transport.abort()
            elif self._stash:
                if waited > timeouts.head:
                    self._refuse(Refused(408, "the request's head did not come in time"))
            elif waited > (_LAST_CHANCE if self.closing else timeouts.idle):
                self.transport.close()
        elif self._paused:
            if gone(self.transport):  # what is not read from does not tell
                self.transport.abort()
        elif self._reading_body and waited > timeouts.body:
            self._exchange.stalled()

    # Called by the exchange

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def address(self, fields: Fields) -> str:
        """The client's own address, as far as it is known from trusted hops."""
        return self._path.address(self._parser.edge, fields)

    @property
    def stashed(self) -> int:
        """Bytes that came and are not read yet."""
        return len(self._stash)

    @property
    def trailers(self) -> bytes:
        """The lines behind the present request's body."""
        return self._parser.trailers

    def read_body(self) -> None:
        """Hand the body to the exchange as it comes."""
        self._reading_body = not self._parser.done
        self._since = monotonic()
        self._resume()
        if self._stash and self._reading_body:
            data, self._stash = self._stash, b""
            self._read_body(data)

    def pause_body(self) -> None:
        """Leave the rest of the body unread."""
        self._reading_body = False
        self._pause()

    def finished(self) -> None:
        """The answer is whole: take the next request, or end."""
        exchange, self._exchange = self._exchange, None
        self._reading_body = False
        self._since = monotonic()
        self._server_state.total_requests += 1
        if self.closing:
            self._close(drain=exchange is not None and not exchange.sent)
        elif self._stash:
            asyncio.get_running_loop().call_soon(self._next)
        elif self._paused:
            self._resume()

    def abort(self) -> None:
        """Cut the connection: what was answered is not whole."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and exchange.fields.http10:
            reset_at_close(self.transport)
        self.transport.abort()

    def become(self, successor: asyncio.Protocol) -> bytes:
        """Another protocol takes the transport over. Returns what the client sent already."""
        self._exchange = None
        self._path.clients.discard(self)
        self._server_state.connections.discard(cast("Any", self))
        self._server_state.connections.add(cast("Any", successor))
        self._successor = successor
        early, self._stash = self._stash, b""
        return early

    def forgotten(self) -> None:
        """The connection is gone."""
        self._path.clients.discard(self)
        self._server_state.connections.discard(cast("Any", self._successor or self))

    # Reading

    def _next(self) -> None:
        if self._exchange is None and not self.transport.is_closing():
            self._resume()
            data, self._stash = self._stash, b""
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        if self._stash:
            data, self._stash = self._stash + data, b""
        elif data.lstrip(b"\r\n"):  # empty lines alone keep no connection
            self._since = monotonic()
        try:
            self._begin(data)
        except Refused as refused:
            self._refuse(refused)

    def _begin(self, data: bytes) -> None:
        if data[0] in b"\r\n":
            data = data.lstrip(b"\r\n")  # empty lines before a request are allowed (RFC 9112, 2.2)
        parser = self._parser
        size = parser.head(data)
        if size == 0:
            self._stash = data
            return
        if size < len(data):
            self._stash = data[size:]
            if len(self._stash) > _STASH:
                self._pause()
        self._exchange = exchange = Exchange(self._path, self, parser.method, parser.target, parser.fields)
        self._path.active.add(exchange)
        exchange.begin()

    def _read_body(self, data: bytes) -> None:
        exchange, parser = self._exchange, self._parser
        if exchange is None:
            return
        self._since = monotonic()
        try:
            self._stash = parser.body(data)
        except Refused:
            exchange.refuse(400, "The body is malformed.")
            return
        if parser.done:
            self._reading_body = False
        exchange.uploaded(parser.pieces, done=parser.done)
        parser.pieces.clear()

    # Ending

    def _refuse(self, refused: Refused) -> None:
        self._path.counters.count("refused")
        self.closing = True
        self._stash = b""
        self.transport.write(own(refused.status, f"Refused: {refused}.", close=True))
        self._close(drain=True)

    def _close(self, *, drain: bool) -> None:
        """End the connection; a client that still sends is given time to read its answer first."""
        if not drain or self.transport.is_closing():
            self.transport.close()
            return
        self._lingering = True
        self._stash = b""
        self._since = monotonic()
        self._resume()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _pause(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()
