"""Recorded reads, asked of the monolith and then, like any shadow, of the service.

Nothing of it passes a client: what is learned is told by the accounts, and by nothing else.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import count
from time import monotonic

from facade.config import FacadeConfig
from facade.edge import Edge
from facade.headers import SHADOW_MARKER, Refused, check_target, parse_fields
from facade.instances import Instances
from facade.mirror import Copy, NoAnswer, Whole, ask
from facade.mirrored import Mirrored
from facade.routes import Match, RouteTable
from facade.sampling import SAFE
from facade.shadow import Shadow

_UNWANTED = frozenset(
    {b"accept-encoding", b"content-length", b"content-type", b"if-modified-since", b"if-none-match", b"host"}
)
"""Fields that do not go on: of a body that is not there, and what would make the answers less than whole."""

_UNSETTLED = 8
"""Comparisons for each request at a time: those that differ wait for a while until they are asked again."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request of a recording. ``host`` and ``scheme`` are as its client saw them, empty if not known."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...] = ()
    host: bytes = b""
    scheme: bytes = b"http"


@dataclass(frozen=True, slots=True)
class Pace:
    """At most so many requests a second, and at a time at either side."""

    rate: float = 50.0
    concurrency: int = 4


class Replay:
    """Replays to the two sides of one phase. ``skipped`` counts by reason the requests that were not asked:
    ``not safe``, ``of no route``, ``a write``, ``of another phase``, ``refused``."""

    def __init__(self, config: FacadeConfig, routes: RouteTable, phase: str, pace: Pace) -> None:
        limits = replace(config.limits, shadow_senders=pace.concurrency, connections=pace.concurrency)
        self.skipped: Counter[str] = Counter()
        self._numbers = count(1)
        self._shadow = Shadow(replace(config, limits=limits))
        self._monolith = Instances(config.monolith, config.timeouts, limits)
        self._routes = routes
        self._phase = phase
        self._pace = pace
        self._asking = asyncio.Semaphore(pace.concurrency)
        self._timeout = config.timeouts.total
        self._most = limits.shadow_body
        self.accounts = self._shadow.accounts

    async def run(self, requests: Iterable[Recorded], done: Callable[[], None]) -> None:
        """Ask both sides each request; ``done`` is called after each, skipped ones included."""
        due = monotonic()
        places = asyncio.Semaphore(self._pace.concurrency * _UNSETTLED)

        def ended(_: object) -> None:
            places.release()
            done()

        try:
            async with asyncio.TaskGroup() as group:
                for request in requests:
                    mirrored = self._mirrored(request)
                    if mirrored is None:
                        done()
                        continue
                    await places.acquire()
                    await asyncio.sleep(due - monotonic())
                    due = max(due, monotonic() - 1.0) + 1.0 / self._pace.rate
                    group.create_task(self._ask(mirrored)).add_done_callback(ended)
        finally:
            self._monolith.close()
            await self._shadow.stop()

    async def _ask(self, mirrored: Mirrored) -> None:
        pool = self._monolith.choose(spare=False)
        try:
            if pool is None:
                raise NoAnswer("monolith_failed")
            request, head_only = mirrored.request(pool.upstream), mirrored.method == b"HEAD"
            async with self._asking:
                began = monotonic()
                answer = await ask(pool, request, head_only=head_only, timeout=self._timeout, most=self._most)
                took = (monotonic() - began) * 1000
        except NoAnswer as nothing:
            reason = nothing.reason if nothing.reason == "body_too_large" else "monolith_failed"
            self.accounts.drop(mirrored.phase, mirrored.route, reason)
            return
        await self._shadow.settle(replace(mirrored, copy=Whole(answer), primary_ms=took))

    def _mirrored(self, request: Recorded) -> Mirrored | None:
        """The request as it is asked; None, with the reason counted, when it is not."""
        try:
            match = self._routes.match(request.method, request.target)
            reason = self._objection(request, match)
            if reason is None and match is not None:
                return self._prepared(request, match.route.name or match.route.path)
        except Refused:
            reason = "refused"
        self.skipped[reason or "refused"] += 1
        return None

    def _objection(self, request: Recorded, match: Match | None) -> str | None:
        if request.method not in SAFE:
            return "not safe"
        if match is None or match.route.phase is None:
            return "of no route"
        if match.route.phase != self._phase:
            return "of another phase"
        return "a write" if match.write else None

    def _prepared(self, request: Recorded, route: str) -> Mirrored:
        """With its header lines as the facade would have sent them. Raises Refused."""
        given = [(b"Host", request.host)] if request.host else []
        given += [each for each in request.fields if each[0].lower() not in _UNWANTED]
        block = b"".join(b"%b: %b\r\n" % each for each in given)
        edge = Edge(b"127.0.0.1", trusted=True, scheme=request.scheme)
        fields = parse_fields(block, edge=edge, http10=not request.host, most=len(given))
        check_target(request.method, request.target, fields)
        if fields.upgrade is not None or fields.has_body:
            raise Refused(400, "it is more than a request for an answer")
        number = b"replay-%d" % next(self._numbers)
        lines = b"%bX-Request-ID: %b\r\n%b: 1\r\n" % (fields.forward, number, SHADOW_MARKER)
        return Mirrored(
            self._phase,
            route,
            route,
            number.decode(),
            request.method,
            request.target,
            lines,
            nameless=not request.host,
            copy=Copy(0),
            primary_ms=0.0,
        )
