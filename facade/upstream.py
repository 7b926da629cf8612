"""One connection to an upstream: a request at a time, its answer read and judged as it arrives."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from facade.answer import Head, Malformed, parse_head
from facade.trailers import Chunked

if TYPE_CHECKING:
    from facade.pool import Pool

_LONGEST_HEAD = 64 * 1024
_MOST_INTERIM = 16
"""Interim answers (1xx) to one request; more are a flood."""


class Failure(StrEnum):
    """Why an upstream gave no answer, or not the whole of it."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    BROKEN = "broken"
    MALFORMED = "malformed"


class Requester(Protocol):
    """Who sends a request and takes its answer. All methods are called on the event loop."""

    __slots__ = ()

    head_only: bool
    """The request is a HEAD: its answer has no body, whatever its fields say."""
    sent: bool
    """The whole request has been written."""

    def connected(self, upstream: "UpstreamConnection") -> None:
        """A connection is there: write the request to it."""

    def interim(self, head: Head) -> None:
        """A 1xx answer came; the final one is still to come."""

    def upgraded(self, head: Head, rest: bytes, upstream: "UpstreamConnection") -> None:
        """The upstream switched protocols (101); ``rest`` came behind its answer."""

    def answered(self, head: Head | None, pieces: list[bytes], *, done: bool) -> None:
        """Some of the answer came: its head (first call only), pieces of its body. The list is reused."""

    def failed(self, failure: Failure) -> None:
        """No answer will come, or no more of it. The connection is gone."""

    def pause_sending(self) -> None: ...

    def resume_sending(self) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """A connection that a Pool owns. ``reused`` says that the current request is not its first."""

    __slots__ = (
        "_chunked",
        "_chunked_parser",
        "_done",
        "_head",
        "_interims",
        "_on_body",
        "_parser",
        "_partial",
        "_pieces",
        "_plain_parser",
        "_received",
        "idle_since",
        "pool",
        "requester",
        "reused",
        "transport",
    )

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.requester: Requester | None = None
        self.reused = False
        self.idle_since = 0.0
        self._pieces: list[bytes] = []
        self._on_body = self._pieces.append
        self._parser: httptools.HttpResponseParser | None = None
        self._plain_parser: httptools.HttpResponseParser | None = None
        self._chunked_parser: httptools.HttpResponseParser | None = None
        self._chunked: Chunked | None = None
        self._head: Head | None = None
        self._partial = b""
        self._received = False
        self._done = False
        self._interims = 0

    # Parser callbacks

    @property
    def on_body(self) -> Callable[[bytes], object]:
        return self._on_body

    def on_message_begin(self) -> None:
        if self._done:
            raise Malformed("more came than one answer")

    def on_message_complete(self) -> None:
        self._done = True

    # Used by the pool and by requesters

    @property
    def trailers(self) -> bytes:
        """The lines behind the chunked answer that has just become whole."""
        return self._chunked.lines if self._chunked is not None else b""

    def begin(self, requester: Requester) -> None:
        """Take the next request; the requester may write."""
        self.requester = requester
        if self._plain_parser is None:
            self._plain_parser = httptools.HttpResponseParser(self)
        self._parser = self._plain_parser
        self._head = None
        self._received = self._done = False
        self._interims = 0
        requester.connected(self)

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """Give up: the upstream sees the connection close, the requester hears nothing more."""
        self.requester = None
        self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        requester = self.requester
        if requester is None:  # an answer that nobody asked for
            self.transport.abort()
            return
        self._received = True
        try:
            head = self._read(requester, data)
        except (Malformed, httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(Failure.MALFORMED)
            return
        if self._head is None or self.requester is not requester:
            return
        pieces, done = self._pieces, self._done
        if done:
            self._finish(requester, self._head)
        requester.answered(head, pieces, done=done)
        pieces.clear()

    def eof_received(self) -> None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._parser = self._plain_parser = self._chunked_parser = self._chunked = None
        self.pool.lost(self)
        requester, self.requester = self.requester, None
        if requester is None:
            return
        head = self._head
        if head is not None and head.length == -1 and not head.chunked and exc is None:
            requester.answered(None, [], done=True)
        else:
            requester.failed(Failure.BROKEN if self._received else Failure.CLOSED)

    def pause_writing(self) -> None:
        if self.requester is not None:
            self.requester.pause_sending()

    def resume_writing(self) -> None:
        if self.requester is not None:
            self.requester.resume_sending()

    # Reading

    def _read(self, requester: Requester, data: bytes) -> Head | None:
        """Take in what came. Returns the head of the answer if it became complete just now."""
        parser = cast("httptools.HttpResponseParser", self._parser)
        new = None
        while self._head is None:
            if self._partial:
                data, self._partial = self._partial + data, b""
            end = _end_of_head(data)
            if not end:
                self._partial = data
                return None
            head = parse_head(data[:end])
            if head.status == 101:
                self._switch(requester, head, data[end:])
                return None
            if head.length > 0 and not requester.head_only:  # what goes beyond the length is seen by llhttp
                self._head = head
                parser.feed_data(data)
                return head
            raw, data = data[:end], data[end:]
            if head.chunked:  # its trailers are listened to
                self._parser = parser = self._listening()
            parser.feed_data(raw)
            if head.status < 200:
                self._pass_interim(requester, head)
                if not data or self.requester is not requester:
                    return None
                continue
            self._head = new = head
            if requester.head_only:
                self._plain_parser = self._chunked_parser = None  # they wait for a body that does not come
                self._done = True
        if data:
            if self._done:
                raise Malformed("more came than one answer")
            parser.feed_data(data)
        return new

    def _listening(self) -> "httptools.HttpResponseParser":
        """The parser of chunked answers: making one costs three times what it then does."""
        if self._chunked_parser is None:
            self._chunked = Chunked(self)
            self._chunked_parser = httptools.HttpResponseParser(self._chunked)
        return self._chunked_parser

    def _pass_interim(self, requester: Requester, head: Head) -> None:
        self._done = False
        self._interims += 1
        if self._interims > _MOST_INTERIM:
            raise Malformed("interim answers go on and on")
        requester.interim(head)

    def _switch(self, requester: Requester, head: Head, rest: bytes) -> None:
        self.requester = None
        requester.upgraded(head, rest, self)

    def _finish(self, requester: Requester, head: Head) -> None:
        """The answer is whole: the connection is free again, or of no further use."""
        self.requester = None
        if head.keep_alive and requester.sent and not self.transport.is_closing():
            self.reused = True
            self.idle_since = monotonic()
            self.pool.release(self)
        else:
            self.transport.close()

    def _fail(self, failure: Failure) -> None:
        requester = self.requester
        self.abort()
        self._pieces.clear()
        if requester is not None:
            requester.failed(failure)


def _end_of_head(data: bytes) -> int:
    """Where a head ends that ``data`` begins with, 0 as long as it does not. Raises Malformed."""
    end = data.find(b"\r\n\r\n") + 4
    if 4 <= end <= _LONGEST_HEAD:
        return end
    if len(data) > _LONGEST_HEAD:
        raise Malformed("the head is too long")
    return 0
