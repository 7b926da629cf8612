"""One request's travel: decide → [hold] → forward → respond → observe.

Everything happens in callbacks on the event loop. A write is counted in flight from its decision until its
answer is whole or its upstream connection is closed.
"""

from time import monotonic
from typing import TYPE_CHECKING

from facade.answer import CONTINUE, own
from facade.choice import choose
from facade.client import Client
from facade.decision import AGGREGATED, UNMATCHED, Decision
from facade.forward import Forward
from facade.headers import Fields, Refused
from facade.mirror import Copy
from facade.parts import Aggregation
from facade.presence import gone
from facade.routes import Match
from facade.stage import ABORTED, Stage
from facade.trace import new_parent
from flags.side import MONOLITH, Side

if TYPE_CHECKING:
    from facade.data_path import DataPath


_FORWARD, _DONE = Stage.FORWARD, Stage.DONE  # as `flags.side.MONOLITH`


class Exchange:
    """A request and its answer. ``expires`` is when ``expire`` is due; ``sent``: the client's request came
    whole; ``answering``: its answer has begun, after ``first_byte`` seconds; ``pin`` names the client of a
    write, ``parent`` begins a trace, ``forward`` replaces the fields for the upstream."""

    __slots__ = (
        "_body",
        "_body_size",
        "_counted",
        "_forward",
        "answering",
        "client",
        "copy",
        "decision",
        "expires",
        "fields",
        "first_byte",
        "forward",
        "key",
        "lines",
        "match",
        "method",
        "parent",
        "path",
        "pin",
        "reason",
        "request_id",
        "sent",
        "side",
        "stage",
        "started",
        "status",
        "target",
        "total_at",
        "upload",
    )

    def __init__(
        self, path: "DataPath", client: Client, method: bytes, target: bytes, fields: Fields
    ) -> None:
        self.path = path
        self.client = client
        self.method = method
        self.target = target
        self.fields = fields
        self.sent = not fields.has_body
        self.request_id = fields.request_id or path.next_request_id()
        self.parent = new_parent() if fields.trace is None else b""
        self.started = monotonic()
        self.expires = self.total_at = self.started + path.timeouts.total
        self.match: Match | None = None
        self.decision: Decision = UNMATCHED
        self.side: Side = MONOLITH
        self.reason = ""
        self.status = 0
        self.stage = _FORWARD
        self.answering = False
        self.first_byte = 0.0
        self.key: str | None = None
        self.forward: bytes | None = None
        self.copy: Copy | None = None
        self.upload: Copy | None = None
        self.lines = b""
        self.pin: str | None = None
        self._forward: Forward | Aggregation | None = None
        self._counted: str | None = None
        self._body: list[bytes] | None = None
        self._body_size = 0

    # Decide

    def begin(self) -> None:
        """Decide with the snapshot of this moment, and act on it. Once more after a hold."""
        body = None if self._body is None or not self.sent else b"".join(self._body)
        try:
            decision = choose(self, body, unread=self._body is None and not self.sent)
        except Refused as refused:
            self.client.closing = True
            self.answer(refused.status, f"Refused: {refused}.")
            return
        if decision is None:  # the routing key is in the body
            self._read_key()
            return
        self.decision = decision
        self.side = decision.side
        self.reason = decision.reason
        phase = decision.phase
        if decision.gone:
            self.answer(410, "This is not carried over from the monolith, and is gone.")
        elif decision.hold and phase is not None:
            self._hold(phase.name)
        elif self.path.gate is None or self.path.gate.admits(self):
            if decision.write and phase is not None:
                self._counted = phase.name
                self.path.in_flight[phase.name] += 1
            if phase is not None and phase.shadow and self.path.shadow.sampling.takes(self):
                self._copy()
            self.stage = _FORWARD
            forward = Aggregation(self) if decision is AGGREGATED else Forward(self, self._body)
            self._forward = forward
            forward.to(decision.side)

    def _copy(self) -> None:
        """Copy the answer for the shadow, and the body of the request if it has one."""
        most = self.path.limits.shadow_body
        self.copy = Copy(most)
        if self.fields.has_body:
            self.upload = Copy(most)
            self.upload.add(self._body or [])

    # Parts

    def part(self, client: Client, target: bytes, fields: Fields) -> "Exchange":
        """The exchange of one of the parts that this one is answered by."""
        exchange = Exchange(self.path, client, b"GET", target, fields)
        exchange.parent = self.parent
        self.path.active.add(exchange)
        return exchange

    # The request's body

    def _read_key(self) -> None:
        self.stage = Stage.KEY
        self._body = []
        if self.fields.expect:
            self.client.write(CONTINUE)
        self.client.read_body()

    def uploaded(self, pieces: list[bytes], *, done: bool) -> None:
        """More of the request's body came from the client. The list is reused by the caller."""
        self._body_size += sum(map(len, pieces))
        if self._body_size > self.path.limits.body:
            self.refuse(413, f"The body is longer than {self.path.limits.body} bytes.")
            return
        self.sent = done
        if self.upload is not None:
            self.upload.add(pieces)
        if self.stage is _FORWARD and self._forward is not None:
            self._forward.upload(pieces, done=done)
        elif self.stage is Stage.KEY and self._body is not None:
            self._body.extend(pieces)
            if done or self._body_size > self.path.limits.key_body:
                self.client.pause_body()
                self.begin()

    def pause_receiving(self) -> None:
        """The client does not take its answer as fast as it comes."""
        if self._forward is not None:
            self._forward.pause_receiving()

    def resume_receiving(self) -> None:
        if self._forward is not None:
            self._forward.resume_receiving()

    # Hold

    def _hold(self, phase: str) -> None:
        if self.path.holds.add(self, phase, self.client.stashed + self._body_size):
            self.count("held")
            self.stage = Stage.HELD
            self.expires = self.started + self.path.timeouts.hold
            if not self.sent:
                self.client.pause_body()
        else:
            self.count("hold_full")
            self.answer(503, "Writes wait for a moment, and too many do. Try again.", b"Retry-After: 1")

    def released(self) -> None:
        """The fence is down."""
        self.expires = self.total_at
        if gone(self.client.transport):  # nobody waits for it any more
            self.client.transport.abort()
        else:
            self.begin()

    # What goes wrong

    def expire(self) -> None:
        """The deadline has passed."""
        match self.stage:
            case Stage.HELD:
                self.path.holds.remove(self)
                self.count("hold_expired")
                self.answer(
                    503, "Writes wait for a moment, this one for too long. Try again.", b"Retry-After: 1"
                )
            case Stage.KEY:
                self.stalled()
            case _ if self._forward is not None:
                self._forward.expire()

    def stalled(self) -> None:
        """The client stopped sending its body."""
        self.refuse(408, "The body did not come in time.")

    def refuse(self, status: int, text: str) -> None:
        """Answer with an error unless an answer has begun; then cut it."""
        self._give_up()
        if self.answering:
            self.cut()
        else:
            self.answer(status, text)

    def abandoned(self) -> None:
        """The client hung up."""
        if self.stage is not Stage.DONE:
            self.status = ABORTED
            self._give_up()
            self.count("aborted")
            self.observe()

    def cut(self) -> None:
        """The answer cannot be completed: let the client see that."""
        self.observe()
        self.client.abort()

    def _give_up(self) -> None:
        if self.stage is Stage.HELD:
            self.path.holds.remove(self)
        elif self._forward is not None:
            self._forward.give_up()

    # Respond and observe

    def closes(self) -> bool:
        """Whether the client's connection ends with this answer. Known when the answer begins."""
        self.client.closing |= self.fields.http10 or self.fields.close or not self.sent
        return self.client.closing

    def answer(self, status: int, text: str, *lines: bytes) -> None:
        """Answer in the facade's own name."""
        self.status = status
        self.copy = None
        named = b"X-Request-ID: " + self.request_id
        bodyless = self.method == b"HEAD"
        self.client.write(own(status, text, named, *lines, close=self.closes(), bodyless=bodyless))
        self.finish()

    def finish(self) -> None:
        """The answer is whole."""
        self.observe()
        if self.copy is not None:
            self.path.shadow.offer(self, self.copy, monotonic() - self.started)
        self.client.finished()

    def observe(self) -> None:
        """Nothing more happens at an upstream."""
        self.stage = _DONE
        if self._forward is not None and self._forward.retries is not None:
            self._forward.retries.over()
        self._forward = None  # the two know each other: without a cycle there is nothing to collect
        path = self.path
        path.active.discard(self)
        if self.pin is not None:
            self.wrote(self.pin)
        if self._counted is not None:
            path.in_flight[self._counted] -= 1
            self._counted = None
        path.observe(self, monotonic() - self.started)

    def wrote(self, key: str) -> bytes:
        """The client's write may be done: its reads follow it. Returns a header line that says so."""
        phase, own = self.decision.phase, self.path.read_your_writes
        if phase is None or own is None or not self.decision.write or self.decision.gone:
            return b""
        return own.line(phase.name, own.wrote(phase.name, key), self.decision.side)

    def count(self, event: str) -> None:
        self.path.counters.count(event, self.decision.phase.name if self.decision.phase is not None else "")
