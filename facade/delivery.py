"""Where a request is delivered: to which instance of a side, again, or to the monolith instead.

What got no answer is sent again, to another instance if there is one, when nothing of it had been sent or
its method is idempotent, as often as the budget allows; when a kept connection proved stale, at once. A read
that the service fails goes to the monolith where the phase allows it; when that gives no answer either, to
the service if it was only spared. A write never changes sides.
"""

from enum import Enum
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from facade.instances import Instances
from facade.pool import Pool
from facade.retry import IDEMPOTENT, Retries
from facade.upstream import Failure, Requester, UpstreamConnection
from flags.side import MONOLITH, SERVICE, Side

if TYPE_CHECKING:
    from facade.exchange import Exchange

_UNANSWERED = frozenset({Failure.CONNECT, Failure.CLOSED, Failure.BROKEN})


class Step(Enum):
    CONNECT = "connecting"
    FIRST_BYTE = "waiting for the first byte"
    ANSWER = "answering"
    OVER = "over"


CONNECT: Final = Step.CONNECT  # as `flags.side.MONOLITH`
FIRST_BYTE: Final = Step.FIRST_BYTE
ANSWER: Final = Step.ANSWER
OVER: Final = Step.OVER


class Delivery(Requester):
    """The way of one request. ``body`` is what was read of it to find its routing key, None if nothing."""

    __slots__ = (
        "_alone",
        "_body",
        "_connected",
        "_exchange",
        "_instances",
        "_pool",
        "_reused",
        "_spared",
        "_step",
        "_upstream",
        "retries",
        "sent",
    )

    def __init__(self, exchange: "Exchange", body: list[bytes] | None) -> None:
        self._exchange = exchange
        self._body = body
        self._instances: Instances | None = None
        self._pool: Pool | None = None
        self._upstream: UpstreamConnection | None = None
        self.retries: Retries | None = None
        self._step: Step = CONNECT
        self._connected = False
        self._reused = False
        self._spared: Instances | None = None
        self._alone = False
        self.sent = False

    def to(self, side: Side) -> None:
        """Send the request to a side."""
        exchange = self._exchange
        exchange.side = side
        phase = exchange.decision.phase
        self._instances = exchange.path.instances(side, phase.name if phase is not None else "")
        self._pool = None
        if self._instances is None:
            self._unanswered(Failure.CONNECT)
        elif self._instances.concurrency is not None and self._instances.busy >= self._instances.concurrency:
            self._overloaded()
        else:
            self._send(self._instances, without=None)

    def _send(self, instances: Instances, without: Pool | None) -> None:
        """Send the request to one of the side's instances."""
        exchange = self._exchange
        self._step = CONNECT
        spare = exchange.side is SERVICE and exchange.decision.fallback and not self._alone
        pool = instances.only
        if pool is None or spare:
            probing = exchange.method in IDEMPOTENT
            pool = instances.choose(spare=spare, probing=probing, without=without)
        self._pool = pool
        if pool is None:
            exchange.count("ejected")
            self._spared = instances
            self._fall_back("ejected")
        else:
            pool.acquire(self)
            if self._upstream is None and self._step is CONNECT:
                self._await_connection()

    def give_up(self) -> None:
        """Want nothing more from the upstream: it sees its connection close."""
        if self.retries is not None:
            self.retries.stop()
        if self._step is CONNECT and self._pool is not None:
            self._pool.forsake(self)
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()

    def _unanswered(self, failure: Failure) -> None:
        exchange, pool = self._exchange, self._pool
        stale = failure is Failure.CLOSED and self._reused
        if stale and pool is not None and exchange.method in IDEMPOTENT and self._repeatable():
            exchange.count("retry")
            self._reused = False
            self._step = CONNECT
            self._await_connection()
            pool.acquire_fresh(self)
        elif self._instances is not None and self._may_retry(self._instances, failure):
            self._retry(self._instances)
        elif self._can_fall_back():
            self._fall_back(failure)
        elif self._spared is not None and not self._alone and (not self._connected or self._repeatable()):
            self._ask_all_the_same(self._spared)
        else:
            self._step = OVER
            exchange.reason += f", {failure}"
            status = 504 if failure is Failure.TIMEOUT else 502
            exchange.answer(status, f"No answer from the {exchange.side} ({failure}).")

    def _may_retry(self, instances: Instances, failure: Failure) -> bool:
        """Whether to send it again: what is not done twice by that, and has nobody else to answer it."""
        if len(instances.pools) == 1 and self._can_fall_back():
            return False
        if self._connected:
            harmless = failure in _UNANSWERED and self._exchange.method in IDEMPOTENT and self._repeatable()
        else:
            harmless = failure is Failure.CONNECT
        if harmless and self.retries is None:
            self.retries = Retries(self._exchange.path.retries)
        return harmless and self.retries is not None and self.retries.allowed(instances)

    def _retry(self, instances: Instances) -> None:
        self._exchange.count("retry")
        self._step = CONNECT
        self.sent = False
        self._await_connection()
        if self.retries is not None:
            self.retries.again(instances, partial(self._send, instances, self._pool))

    def _overloaded(self) -> None:
        exchange = self._exchange
        exchange.count("overloaded")
        if self._can_fall_back():
            self._fall_back("overloaded")
        else:
            self._step = OVER
            exchange.reason += ", overloaded"
            exchange.answer(503, f"The {exchange.side} has enough to do. Try again.", b"Retry-After: 1")

    def _repeatable(self) -> bool:
        return self._exchange.sent and (self._body is not None or not self._exchange.fields.has_body)

    def _can_fall_back(self) -> bool:
        exchange = self._exchange
        unread = not self._connected or self._repeatable()
        return exchange.decision.fallback and exchange.side is SERVICE and unread and not self._alone

    def _fall_back(self, why: str) -> None:
        """The monolith answers the read that the service failed."""
        self._exchange.count("fallback")
        self._exchange.reason = f"fallback, {why}"
        self.sent = False
        self.to(MONOLITH)

    def _ask_all_the_same(self, service: Instances) -> None:
        """The monolith does not answer, and nobody else is left: the ejected service may be back."""
        self._alone = True
        self._exchange.side = SERVICE
        self._exchange.reason = "ejected, but nobody else answers"
        self._instances = service
        self.sent = False
        self._send(service, without=None)

    def _await_connection(self) -> None:
        exchange = self._exchange
        exchange.expires = min(monotonic() + exchange.path.timeouts.connect, exchange.total_at)
