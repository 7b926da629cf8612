"""A request at an upstream: streamed there and its answer back, with back-pressure both ways.

What a side fails is retried on a fresh connection only when a kept one proved stale (nothing came back) and
the request may be repeated; a read that the service fails goes to the monolith where the phase allows it.
A write is never sent to the other side.
"""

from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING

from facade.answer import Head, compose
from facade.pool import Pool
from facade.tunnel import tunnel
from facade.upstream import Failure, UpstreamConnection
from flags.side import Side

if TYPE_CHECKING:
    from facade.exchange import Exchange

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_FAILED_STATUSES = frozenset({502, 503, 504})
_NEVER = float("inf")


class _Step(Enum):
    CONNECT = "connecting"
    FIRST_BYTE = "waiting for the first byte"
    ANSWER = "answering"
    OVER = "over"


class Forward:
    """The upstream's side of an exchange (a Requester). ``body`` is what was read of the request's body to
    find its routing key, None if nothing was."""

    __slots__ = (
        "_body",
        "_chunking",
        "_exchange",
        "_head",
        "_pool",
        "_reused",
        "_step",
        "_upstream",
        "head_only",
        "sent",
    )

    def __init__(self, exchange: "Exchange", body: list[bytes] | None) -> None:
        self._exchange = exchange
        self._body = body
        self._pool: Pool | None = None
        self._upstream: UpstreamConnection | None = None
        self._head: Head | None = None
        self._step = _Step.CONNECT
        self._reused = False
        self._chunking = False
        self.head_only = exchange.method == b"HEAD"
        self.sent = False

    # There

    def to(self, side: Side) -> None:
        """Send the request to a side."""
        exchange = self._exchange
        exchange.side = side
        self._step = _Step.CONNECT
        phase = exchange.decision.phase
        self._pool = pool = exchange.path.pool(side, phase.name if phase is not None else "")
        if pool is None:
            self._unanswered(Failure.CONNECT)
        elif side is Side.SERVICE and exchange.decision.fallback and not pool.ejection.admits(monotonic()):
            exchange.count("ejected")
            self._fall_back("ejected")
        else:
            pool.acquire(self)
            if self._upstream is None:
                self._await_connection()

    def connected(self, upstream: UpstreamConnection) -> None:
        exchange = self._exchange
        self._upstream = upstream
        self._reused = upstream.reused
        self._step = _Step.FIRST_BYTE
        exchange.expires = min(monotonic() + exchange.path.timeouts.first_byte, exchange.total_at)
        upstream.write(self._request_head(upstream))
        if self._body:
            self._write_body(upstream, self._body)
        if exchange.sent:
            self.sent = True
            if exchange.fields.chunked:
                upstream.write(b"0\r\n\r\n")
        else:
            exchange.client.read_body()

    def upload(self, pieces: list[bytes], *, done: bool) -> None:
        """Pass on more of the request's body."""
        exchange, upstream = self._exchange, self._upstream
        if upstream is None:
            return
        self._write_body(upstream, pieces)
        if done:
            self.sent = True
            if exchange.fields.chunked:
                upstream.write(b"0\r\n\r\n")
        if self._step is _Step.FIRST_BYTE:
            exchange.expires = min(monotonic() + exchange.path.timeouts.first_byte, exchange.total_at)

    def pause_sending(self) -> None:
        self._exchange.client.pause_body()

    def resume_sending(self) -> None:
        self._exchange.client.read_body()

    def _await_connection(self) -> None:
        exchange = self._exchange
        exchange.expires = min(monotonic() + exchange.path.timeouts.connect, exchange.total_at)

    def _request_head(self, upstream: UpstreamConnection) -> bytes:
        exchange = self._exchange
        fields = exchange.fields
        host = b""
        if fields.http10 and not fields.value(b"host"):
            host = b"Host: %b\r\n" % upstream.pool.upstream.authority.encode()
        return b"%b %b HTTP/1.1\r\n%b%bX-Request-ID: %b\r\n%b" % (
            exchange.method,
            exchange.target,
            fields.forward,
            host,
            exchange.request_id,
            b"Transfer-Encoding: chunked\r\n\r\n" if fields.chunked else b"\r\n",
        )

    def _write_body(self, upstream: UpstreamConnection, pieces: list[bytes]) -> None:
        body = b"".join(pieces)
        if body:
            upstream.write(b"%x\r\n%b\r\n" % (len(body), body) if self._exchange.fields.chunked else body)

    # And back

    def interim(self, head: Head) -> None:
        if not self._exchange.fields.http10:
            self._exchange.client.write(head.status_line + head.block + b"\r\n")

    def answered(self, head: Head | None, pieces: list[bytes], *, done: bool) -> None:
        exchange = self._exchange
        if done:
            self._upstream = None
        out = []
        if head is not None:
            if self._fails(head):
                return
            out.append(self._begin_answer(head))
        if pieces:
            if exchange.copy is not None:
                exchange.copy.add(pieces)
            if self._chunking:
                out.append(b"%x\r\n" % sum(map(len, pieces)))
                out += pieces
                out.append(b"\r\n")
            else:
                out += pieces
        if done and self._chunking:
            out.append(b"0\r\n\r\n")
        if out:
            exchange.client.write(b"".join(out))
        if done:
            self._step = _Step.OVER
            exchange.finish()

    def pause_receiving(self) -> None:
        """The client does not keep up."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume_receiving(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def _fails(self, head: Head) -> bool:
        """Whether this answer is a failure that the monolith makes good; it then does so."""
        pool = self._pool
        if pool is None:
            return False
        if head.status not in _FAILED_STATUSES:
            if pool.ejection.errors:
                pool.ejection.succeeded()
            return False
        pool.ejection.failed(monotonic())
        if not self._can_fall_back():
            return False
        self.give_up()
        self._fall_back(f"status {head.status}")
        return True

    def _begin_answer(self, head: Head) -> bytes:
        exchange = self._exchange
        self._head = head
        self._step = _Step.ANSWER
        exchange.status = head.status
        exchange.answering = True
        exchange.expires = exchange.total_at
        if exchange.copy is not None:
            exchange.copy.head = head
        bodyless = self.head_only or head.status in {204, 304}
        chunked = (head.chunked or (head.length == -1 and not bodyless)) and not exchange.fields.http10
        self._chunking = chunked and not bodyless
        lines = exchange.lines
        if not head.named:
            lines = b"X-Request-ID: %b\r\n%b" % (exchange.request_id, lines)
        return compose(head, lines, chunked=chunked, close=exchange.closes())

    def upgraded(self, head: Head, rest: bytes, upstream: UpstreamConnection) -> None:
        exchange = self._exchange
        if exchange.fields.upgrade is None:
            upstream.abort()
            self.failed(Failure.MALFORMED)
            return
        self._upstream = None
        self._step = _Step.OVER
        exchange.status = 101
        protocol = [b"Upgrade: %b\r\n" % value for name, value in head.pairs() if name.lower() == b"upgrade"]
        lines = (head.status_line, head.block, b"Connection: Upgrade\r\n", *protocol, b"\r\n", rest)
        exchange.client.write(b"".join(lines))
        exchange.observe()
        tunnel(exchange.client, upstream)

    # What goes wrong

    def failed(self, failure: Failure) -> None:
        self._upstream = None
        if self._pool is not None:
            self._pool.ejection.failed(monotonic())
        if self._step is _Step.ANSWER:
            self._exchange.reason += f", {failure}"
            self._exchange.cut()
        else:
            self._unanswered(failure)

    def expire(self) -> None:
        """The deadline of the present step has passed."""
        if self._step is _Step.ANSWER and self._head is not None and self._head.streams_events:
            self._exchange.expires = _NEVER
            return
        self.give_up()
        self.failed(Failure.TIMEOUT)

    def give_up(self) -> None:
        """Want nothing more from the upstream: it sees its connection close."""
        if self._step is _Step.CONNECT and self._pool is not None:
            self._pool.forsake(self)
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    def _unanswered(self, failure: Failure) -> None:
        exchange, pool = self._exchange, self._pool
        stale = failure is Failure.CLOSED and self._reused
        if stale and pool is not None and exchange.method in _IDEMPOTENT and self._repeatable():
            exchange.count("retry")
            self._reused = False
            self._step = _Step.CONNECT
            self._await_connection()
            pool.acquire_fresh(self)
        elif self._can_fall_back():
            self._fall_back(failure)
        else:
            self._step = _Step.OVER
            exchange.reason += f", {failure}"
            status = 504 if failure is Failure.TIMEOUT else 502
            exchange.answer(status, f"No answer from the {exchange.side} ({failure}).")

    def _repeatable(self) -> bool:
        return self._exchange.sent and (self._body is not None or not self._exchange.fields.has_body)

    def _can_fall_back(self) -> bool:
        exchange = self._exchange
        return exchange.decision.fallback and exchange.side is Side.SERVICE and self._repeatable()

    def _fall_back(self, why: str) -> None:
        """The monolith answers the read that the service failed."""
        self._exchange.count("fallback")
        self._exchange.reason = f"fallback, {why}"
        self.sent = False
        self.to(Side.MONOLITH)
