"""A request that is answered by several: its parts, each sent as a request of its own, and all at once.

A part is decided like any read that the client sends: its phase's stage and flags, fallback, tokens and
limits hold for it, and it has its own line in log and metrics, with the request's id and trace.
"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from facade.aggregate import FAILED, PartAnswer, compose, judge, part_target
from facade.answer import document
from facade.headers import Fields
from facade.stage import ABORTED
from facade.sticky import COOKIE, sticky_key
from flags.side import Side

if TYPE_CHECKING:
    from facade.exchange import Exchange

_OF_THE_WHOLE = frozenset(
    {
        b"accept-encoding",
        b"connection",
        b"content-length",
        b"content-type",
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
        b"te",
        b"upgrade",
    }
)
"""Fields that mean the whole answer, or would make a part's unreadable here."""


class Part:
    """The client that a part is asked by, inside the facade. It speaks HTTP/1.0: an answer without chunks
    and interim ones, whole when its connection ends in order."""

    trailers = b""
    stashed = 0

    def __init__(self, whole: "Aggregation", name: str, fields: Fields, target: bytes) -> None:
        self.name = name
        self.closing = True
        self.transport: asyncio.Transport = whole.exchange.client.transport
        self.ended: PartAnswer | None = None
        self.cookies: list[bytes] = []
        self._whole = whole
        self._head: bytes | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self.exchange = whole.exchange.part(self, target, fields)

    # Called by its exchange

    def write(self, data: bytes) -> None:
        if self._head is None:
            self._head, _, data = data.partition(b"\r\n\r\n")
        if self.ended is None:
            self._size += len(data)
            self._pieces.append(data)
            if self._size > self._whole.aggregate.most:
                self._pieces.clear()
                # Not at once: its exchange is in the middle of something.
                asyncio.get_running_loop().call_soon(self.end, self._answer())

    def finished(self) -> None:
        self._over(self._answer())

    def abort(self) -> None:
        self._over(PartAnswer(502, None, "the answer broke off"))

    def address(self, fields: Fields) -> str:
        return self._whole.exchange.client.address(fields)

    def read_body(self) -> None:
        """It has none."""

    def pause_body(self) -> None:
        """It has none."""

    # Called by the whole

    def end(self, answer: PartAnswer) -> None:
        """Wait for it no longer."""
        if self.ended is None:
            self.ended = answer
            self._pieces.clear()
            self.exchange.refuse(answer.status, answer.error or "")

    def forget(self) -> None:
        """Nobody wants it any more."""
        if self.ended is None:
            self.ended = PartAnswer(ABORTED)
            self.exchange.abandoned()

    def _over(self, answer: PartAnswer) -> None:
        if self.ended is None:
            self.ended = answer
        self._whole.part_over()

    def _answer(self) -> PartAnswer:
        if self._size > self._whole.aggregate.most:
            return PartAnswer(502, None, f"the answer is longer than {self._whole.aggregate.most} bytes")
        lines = (self._head or b"").split(b"\r\n")
        pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        body = b"".join(self._pieces)
        if not self.exchange.answering:
            return PartAnswer(self.exchange.status, None, body.decode().strip())
        self.cookies = [value for name, value in pairs if name == b"set-cookie"]
        content_type = next((value for name, value in pairs if name == b"content-type"), b"")
        return judge(self.exchange.status, content_type, body)


class Aggregation:
    """The parts of one exchange, in place of an upstream."""

    retries = None

    def __init__(self, exchange: "Exchange") -> None:
        match = exchange.match
        assert match is not None and match.route.aggregate is not None  # noqa: PT018, S101 (it was decided so)
        self.exchange = exchange
        self.aggregate = match.route.aggregate
        self._parameters = match.parameters
        self._parts: tuple[Part, ...] = ()
        self._open = 0
        self._fresh_cookie = b""

    def to(self, side: Side) -> None:  # noqa: ARG002 (each part finds its own side)
        """Send the parts."""
        exchange = self.exchange
        if isinstance(exchange.client, Part):
            exchange.answer(508, "An answer that is made of parts cannot be a part of another.")
            return
        if exchange.fields.has_body:
            exchange.answer(400, "An answer that is made of parts takes no body.")
            return
        exchange.expires = min(exchange.started + self.aggregate.timeout, exchange.total_at)
        fields = self._fields()
        self._parts = tuple(
            Part(self, name, fields, part_target(template, self._parameters, exchange.target))
            for name, template in self.aggregate.parts
        )
        self._open = len(self._parts)
        for part in self._parts:
            part.exchange.begin()

    def part_over(self) -> None:
        """A part has ended. The last one makes the answer."""
        self._open -= 1
        if self._open:
            return
        exchange = self.exchange
        answers = {part.name: part.ended for part in self._parts if part.ended is not None}
        exchange.status, body, failed = compose(answers)
        lines = [b"X-Request-ID: " + exchange.request_id]
        lines += [b"Set-Cookie: " + cookie for part in self._parts for cookie in part.cookies]
        if any(part.exchange.decision.split and part.exchange.key is None for part in self._parts):
            lines += self._fresh_cookie.splitlines()
        if failed:
            lines.append(FAILED + b": " + ", ".join(failed).encode())
        exchange.client.write(
            document(
                exchange.status,
                b"application/json",
                body,
                *lines,
                close=exchange.closes(),
                bodyless=exchange.method == b"HEAD",
            )
        )
        exchange.finish()

    # As a Forward is called by its exchange

    def expire(self) -> None:
        """The parts had their time."""
        late = PartAnswer(504, None, f"no whole answer within {self.aggregate.timeout:g} s")
        for part in self._parts:
            part.end(late)

    def give_up(self) -> None:
        for part in self._parts:
            part.forget()

    def upload(self, pieces: list[bytes], *, done: bool) -> None:
        """There is no body."""

    def pause_receiving(self) -> None:
        """The answer is one write."""

    def resume_receiving(self) -> None:
        """See pause_receiving."""

    def _fields(self) -> Fields:
        """What each part is asked with: the client's fields, without a body and what means the whole."""
        fields = self.exchange.fields
        lines = fields.forward.removesuffix(b"\r\n").split(b"\r\n")
        kept = [line for line in lines if line.partition(b":")[0].lower() not in _OF_THE_WHOLE]
        key, self._fresh_cookie = sticky_key(fields)
        pairs = fields.pairs
        if self._fresh_cookie:  # one for all parts
            pairs += ((b"cookie", f"{COOKIE}={key}".encode()),)
        return replace(
            fields,
            pairs=pairs,
            forward=b"\r\n".join(kept) + b"\r\n",
            length=-1,
            expect=False,
            upgrade=None,
            request_id=self.exchange.request_id,
            http10=True,
        )
