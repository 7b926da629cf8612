"""One request's travel: decide → [hold] → forward → respond → observe.

Everything happens in callbacks on the event loop. A write is counted in flight from its decision until its
answer is whole or its upstream connection is closed.
"""

from enum import Enum
from time import monotonic
from typing import TYPE_CHECKING

from facade.answer import CONTINUE, own
from facade.decide import UNMATCHED, Decision, decide
from facade.forward import Forward
from facade.headers import Fields
from facade.mirror import Copy
from facade.routes import Match
from facade.routing_key import cookie
from flags.side import Side

if TYPE_CHECKING:
    from facade.data_path import DataPath
    from facade.protocol import FacadeProtocol

STICKY_COOKIE = "strangler-key"
ABORTED = 499
"""The status that logs and metrics show when the client hung up before its answer was whole."""


class Stage(Enum):
    """Where a request is."""

    KEY = "reading the body for its routing key"
    HELD = "held"
    FORWARD = "forwarded"
    DONE = "done"


class Exchange:
    """A request and its answer. ``expires`` is when ``expire`` is due; ``sent`` says that the client's
    request came whole; ``answering`` that its answer has begun."""

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
        "lines",
        "match",
        "method",
        "path",
        "reason",
        "request_id",
        "sent",
        "side",
        "stage",
        "started",
        "status",
        "target",
        "total_at",
    )

    def __init__(
        self, path: "DataPath", client: "FacadeProtocol", method: bytes, target: bytes, fields: Fields
    ) -> None:
        self.path = path
        self.client = client
        self.method = method
        self.target = target
        self.fields = fields
        self.sent = not fields.has_body
        self.request_id = fields.request_id or path.next_request_id()
        self.started = monotonic()
        self.expires = self.total_at = self.started + path.timeouts.total
        self.match: Match | None = None
        self.decision: Decision = UNMATCHED
        self.side = Side.MONOLITH
        self.reason = ""
        self.status = 0
        self.stage = Stage.FORWARD
        self.answering = False
        self.copy: Copy | None = None
        self.lines = b""
        self._forward: Forward | None = None
        self._counted: str | None = None
        self._body: list[bytes] | None = None
        self._body_size = 0

    # Decide

    def begin(self) -> None:
        """Decide with the snapshot of this moment, and act on it. Once more after a hold."""
        decision = self._decide()
        if decision is None:
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
        else:
            if decision.write and phase is not None:
                self._counted = phase.name
                self.path.in_flight[phase.name] += 1
            if decision.shadow and not self.fields.has_body and self.fields.upgrade is None:
                self.copy = Copy(self.path.limits.shadow_body)
            self.stage = Stage.FORWARD
            self._forward = forward = Forward(self, self._body)
            forward.to(decision.side)

    def _decide(self) -> Decision | None:
        """The decision, or None when the body has to be read for the routing key first."""
        snapshot = self.path.snapshot
        match = self.match = snapshot.routes.match(self.method, self.target)
        if match is None:
            return UNMATCHED
        traffic = snapshot.phases.get(match.route.phase) if match.route.phase is not None else None
        key = sticky = None
        if traffic is not None and not (match.write and traffic.hold is not None):
            routing_key = self.path.routing_keys.get(traffic.name)
            if routing_key is not None:
                if routing_key.in_body and self._body is None and not self.sent:
                    return None
                body = b"".join(self._body) if self._body is not None and self.sent else None
                key = routing_key.extract(self.fields, self.target, match.parameters, body)
            if key is None and traffic.reads is None and not match.write:
                sticky = self._sticky()
        return decide(snapshot, match, key, sticky, self.request_id.decode())

    def _sticky(self) -> str:
        """What makes a split sticky for a client without a routing key: the facade's own cookie."""
        known = cookie(self.fields, STICKY_COOKIE)
        if known is not None:
            return known
        fresh = self.path.new_sticky_key()
        attributes = "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
        self.lines = f"Set-Cookie: {STICKY_COOKIE}={fresh}; {attributes}\r\n".encode()
        return fresh

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
        if self.stage is Stage.FORWARD and self._forward is not None:
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

    def malformed(self) -> None:
        """The body's chunks cannot be told apart."""
        self.refuse(400, "The body is malformed.")

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
        self.stage = Stage.DONE
        self._forward = None  # the two know each other: without a cycle there is nothing to collect
        path = self.path
        path.active.discard(self)
        if self._counted is not None:
            path.in_flight[self._counted] -= 1
            self._counted = None
        path.observe(self, monotonic() - self.started)

    def count(self, event: str) -> None:
        self.path.counters.count(event, self.decision.phase.name if self.decision.phase is not None else "")
