"""A request at an upstream: streamed there and its answer back, with back-pressure both ways."""

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, cast

from facade.answer import Head, agrees, compose, switched
from facade.delivery import ANSWER, FIRST_BYTE, OVER, Delivery
from facade.outgoing import body_part, by_own_name, last_chunk, request_end, request_head
from facade.own_name import without_own_name
from facade.tunnel import tunnel
from facade.upstream import Failure, UpstreamConnection

if TYPE_CHECKING:
    from facade.exchange import Exchange
    from facade.protocol import FacadeProtocol

_FAILED_STATUSES = frozenset({502, 503, 504})
_NEVER = float("inf")


class Forward(Delivery):
    """The upstream's side of an exchange."""

    __slots__ = ("_chunking", "_head", "head_only")

    def __init__(self, exchange: "Exchange", body: list[bytes] | None) -> None:
        super().__init__(exchange, body)
        self._head: Head | None = None
        self._chunking = False
        self.head_only = exchange.method == b"HEAD"

    # There

    def connected(self, upstream: UpstreamConnection) -> None:
        exchange = self._exchange
        self._upstream = upstream
        self._reused = upstream.reused
        self._connected = True
        self._step = FIRST_BYTE
        exchange.expires = min(monotonic() + exchange.path.timeouts.first_byte, exchange.total_at)
        upstream.write(request_head(exchange, upstream.pool.upstream))
        if self._body:
            self._write_body(upstream, self._body)
        if exchange.sent:
            self.sent = True
            if exchange.fields.chunked:
                upstream.write(request_end(exchange))
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
                upstream.write(request_end(exchange))
        if self._step is FIRST_BYTE:
            exchange.expires = min(monotonic() + exchange.path.timeouts.first_byte, exchange.total_at)

    def pause_sending(self) -> None:
        self._exchange.client.pause_body()

    def resume_sending(self) -> None:
        self._exchange.client.read_body()

    def _write_body(self, upstream: UpstreamConnection, pieces: list[bytes]) -> None:
        part = body_part(pieces, chunked=self._exchange.fields.chunked)
        if part:
            upstream.write(part)

    # And back

    def interim(self, head: Head) -> None:
        if not self._exchange.fields.http10:
            self._exchange.client.write(head.status_line + head.block + b"\r\n")

    def answered(self, head: Head | None, pieces: list[bytes], *, done: bool) -> None:
        exchange, upstream = self._exchange, self._upstream
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
            whole = head or self._head
            chunked = upstream is not None and whole is not None and whole.chunked
            out.append(last_chunk(upstream.trailers if upstream is not None and chunked else b""))
        if out:
            exchange.client.write(b"".join(out))
        if done:
            self._step = OVER
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
        self._step = ANSWER
        exchange.status = head.status
        exchange.answering = True
        exchange.first_byte = monotonic() - exchange.started
        exchange.expires = exchange.total_at
        if exchange.copy is not None:
            exchange.copy.head = head
        bodyless = self.head_only or head.status in {204, 304}
        chunked = (head.chunked or (head.length == -1 and not bodyless)) and not exchange.fields.http10
        self._chunking = chunked and not bodyless
        lines = exchange.lines if exchange.pin is None else exchange.lines + exchange.wrote(exchange.pin)
        pool = self._pool
        if pool is not None and by_own_name(exchange.fields, pool.upstream):
            head = replace(head, block=without_own_name(head.block, pool.upstream))
        if not head.named:
            lines = b"X-Request-ID: %b\r\n%b" % (exchange.request_id, lines)
        return compose(head, lines, chunked=chunked, close=exchange.closes())

    def upgraded(self, head: Head, rest: bytes, upstream: UpstreamConnection) -> None:
        exchange = self._exchange
        if not agrees(head, exchange.fields.upgrade):
            upstream.abort()
            self.failed(Failure.MALFORMED)
            return
        self._upstream = None
        self._step = OVER
        exchange.status = 101
        exchange.client.write(switched(head) + rest)
        exchange.observe()
        tunnel(cast("FacadeProtocol", exchange.client), upstream)  # nobody else asks for an upgrade

    # What goes wrong

    def failed(self, failure: Failure) -> None:
        self._upstream = None
        if self._pool is not None:
            self._pool.ejection.failed(monotonic())
        if self._step is ANSWER:
            self._exchange.reason += f", {failure}"
            self._exchange.path.tally.broken(self._exchange.decision)
            self._exchange.cut()
        else:
            self._unanswered(failure)

    def expire(self) -> None:
        """The deadline of the present step has passed."""
        if self._step is ANSWER and self._head is not None and self._head.streams_events:
            self._exchange.expires = _NEVER
            return
        self.give_up()
        self.failed(Failure.TIMEOUT)
