"""Shadow traffic: requests that the monolith answered are asked of the service too, and compared.

Some of the reads are asked of the monolith once more as well, which says how far it differs from itself.

All of it is off the user's path (invariant I5): a bounded queue, own connections, an own deadline, a
breaker, and one thread that compares. What does not fit is dropped and counted by its reason:
``body_too_large``, ``queue_full``, ``breaker_open``, ``timeout``, ``connect``, ``closed``, ``broken``,
``malformed``, ``no_service``, ``recheck_failed``, ``compare_failed``, ``shutdown``.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import itemgetter
from random import random
from time import monotonic, time
from typing import TYPE_CHECKING, Any, TypeAlias

from facade.accounts import Accounts
from facade.calibrate import Pair, calibrate
from facade.compare import Answer, Outcome, Rules, compare
from facade.config import FacadeConfig, ShadowRules
from facade.evidence import Comparison
from facade.grouping import Groups
from facade.instances import Instances
from facade.mirror import Copy, NoAnswer, ask
from facade.mirrored import Mirrored
from facade.pool import Pool
from facade.redact import redact_target
from facade.sampling import Sampling
from flags.side import SERVICE, Side

if TYPE_CHECKING:
    from facade.exchange import Exchange

_SMALL = 16 * 1024
"""Bytes of equal bodies that are compared sooner than a thread is asked to."""


class Shadow:
    """The shadow of one worker. ``offer`` never waits and never raises.

    ``passed`` says by phase and side up to which time (seconds since 1970) all that was written is there.
    """

    def __init__(self, config: FacadeConfig) -> None:
        limits = replace(config.limits, connections=config.limits.shadow_senders)
        self.accounts = Accounts()
        self.sampling = Sampling(config.shadow)
        self.passed: Mapping[tuple[str, Side], float] = {}
        self._groups: dict[str, Groups] = {}
        self._by_route: dict[tuple[str, str], Rules] = {}
        self._rules = config.shadow
        self._recheck_delay = config.recheck_delay
        self._most_body = config.limits.shadow_body
        self._most_open = config.limits.shadow_queue
        self._services = {
            phase: Instances(backend, config.timeouts, limits) for phase, backend in config.services.items()
        }
        self._monolith = Instances(config.monolith, config.timeouts, limits)
        self._own = frozenset(
            upstream.authority
            for backend in (config.monolith, *config.services.values())
            for upstream in backend.instances
            if upstream.own_host
        )
        self._senders = asyncio.Semaphore(config.limits.shadow_senders)
        self._open: set[asyncio.Task[None]] = set()
        self._comparing = ThreadPoolExecutor(1, thread_name_prefix="shadow-compare")

    async def stop(self) -> None:
        """Drop what is not settled yet."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for instances in (self._monolith, *self._services.values()):
            instances.close()
        self._comparing.shutdown(wait=False, cancel_futures=True)

    def offer(self, exchange: "Exchange", copy: Copy, seconds: float) -> None:
        """The monolith answered a request. Called on the hot path, behind the answer's last byte."""
        match = exchange.match
        if match is None or match.route.phase is None:
            return
        phase, group = match.route.phase, match.route.name or match.route.path
        try:
            body = None if exchange.upload is None else exchange.upload.body()
            group = self._groups_of(phase).of(exchange, match, body)
            if len(self._open) >= self._most_open:
                raise NoAnswer("queue_full")
            service = self._services.get(phase)
            if service is not None and service.refuse(monotonic()):
                raise NoAnswer("breaker_open")  # here already: users share the loop with what would wait
            mirrored = Mirrored.of(exchange, match, group, copy, seconds)
        except NoAnswer as nothing:
            self.accounts.drop(phase, group, nothing.reason)
            return
        task = asyncio.get_running_loop().create_task(self.settle(mirrored))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def settle(self, mirrored: Mirrored) -> None:
        """Bring one mirrored request to exactly one end in the accounts."""
        try:
            await self._judge(mirrored)
        except NoAnswer as nothing:
            self.accounts.drop(mirrored.phase, mirrored.group, nothing.reason)
        except asyncio.CancelledError:
            self.accounts.drop(mirrored.phase, mirrored.group, "shutdown")
            raise
        except Exception:  # noqa: BLE001 (whatever a comparison does wrong, the books must balance)
            self.accounts.drop(mirrored.phase, mirrored.group, "compare_failed")

    async def _judge(self, mirrored: Mirrored) -> None:
        service = self._services.get(mirrored.phase)
        if service is None:
            raise NoAnswer("no_service")
        answers = await self._ask_first(service, mirrored)
        shadow_ms = answers.shadow_ms
        outcome, pair = await self._compared(answers, mirrored)
        again = bool(outcome.differences) and not mirrored.write
        lag = self.lag(mirrored.phase) if again else None
        if again or (pair is not None and pair.differs):
            # A write may have passed between the answers: only what still differs counts.
            await asyncio.sleep(self._recheck_delay)
            try:
                answers = await self._ask_again(service, mirrored)
                found, pair = await self._compared(answers, mirrored)
                outcome = found if again else outcome
            except NoAnswer:
                if again:
                    raise
                pair = None  # both sides agree, and of the noise nothing is known
        if outcome.differences:
            self.accounts.sample(_sample(mirrored, outcome, answers, shadow_ms))
        if pair is not None:
            self.accounts.calibrated(mirrored.phase, mirrored.group, pair)
        self.accounts.compared(
            mirrored.phase,
            mirrored.group,
            outcome,
            stale=again,
            primary_ms=mirrored.primary_ms,
            shadow_ms=shadow_ms,
            lag=lag,
        )

    def lag(self, phase: str) -> float | None:
        """How many seconds replication to the service is behind, at the most; None when nobody knows."""
        passed = self.passed.get((phase, SERVICE))
        return None if passed is None else max(0.0, time() - passed)

    async def _compared(self, answers: "_Answers", mirrored: Mirrored) -> tuple[Outcome, Pair | None]:
        primary, shadow, again = answers.primary, answers.shadow, answers.again
        rules, asked = self._rules_of(mirrored), mirrored.asked(self._own)
        if again is None and len(primary.body) <= _SMALL and primary.body == shadow.body:
            return compare(primary, shadow, rules, asked), None
        loop = asyncio.get_running_loop()
        outcome = await loop.run_in_executor(self._comparing, compare, primary, shadow, rules, asked)
        if again is None:
            return outcome, None
        return outcome, await loop.run_in_executor(
            self._comparing, calibrate, primary, again, shadow, rules, asked
        )

    async def _ask_first(self, service: Instances, mirrored: Mirrored) -> "_Answers":
        """Ask the service, and for a calibration the monolith beside it: which of them first is chance."""
        primary = mirrored.copy.answer()
        async with self._senders:
            asking = [self._ask_service(service, mirrored)]
            if mirrored.calibrate:
                asking.append(self._ask_monolith(mirrored))
            (shadow, shadow_ms), *rest = await _in_any_order(asking)
        if isinstance(shadow, NoAnswer):
            raise shadow
        again = rest[0][0] if rest else None
        return _Answers(primary, shadow, None if isinstance(again, NoAnswer) else again, shadow_ms)

    async def _ask_again(self, service: Instances, mirrored: Mirrored) -> "_Answers":
        """Ask both sides once more, the monolith twice for a calibration, in any order."""
        async with self._senders:
            asking = [self._timed(service.choose(spare=False), mirrored), self._ask_monolith(mirrored)]
            if mirrored.calibrate:
                asking.append(self._ask_monolith(mirrored))
            (shadow, shadow_ms), (primary, _), *rest = await _in_any_order(asking)
        if isinstance(primary, NoAnswer) or isinstance(shadow, NoAnswer):
            raise NoAnswer("recheck_failed")
        again = rest[0][0] if rest else None
        return _Answers(primary, shadow, None if isinstance(again, NoAnswer) else again, shadow_ms)

    async def _ask_service(self, service: Instances, mirrored: Mirrored) -> "_Asked":
        pool = service.choose(spare=True)
        if pool is None:
            return NoAnswer("breaker_open"), 0.0
        answer, milliseconds = await self._timed(pool, mirrored)
        if isinstance(answer, NoAnswer):
            pool.ejection.failed(monotonic())
        else:
            pool.ejection.succeeded()
        return answer, milliseconds

    async def _ask_monolith(self, mirrored: Mirrored) -> "_Asked":
        return await self._timed(self._monolith.choose(spare=False), mirrored)

    async def _timed(self, pool: Pool | None, mirrored: Mirrored) -> "_Asked":
        """What one side answers, or why it does not, and in how many milliseconds."""
        if pool is None:
            return NoAnswer("no_service"), 0.0
        head_only, request = mirrored.method == b"HEAD", mirrored.request(pool.upstream)
        timeout, started = self._of(mirrored.phase).timeout, monotonic()
        try:
            answer = await ask(pool, request, head_only=head_only, timeout=timeout, most=self._most_body)
        except NoAnswer as nothing:
            return nothing, 0.0
        return answer, (monotonic() - started) * 1000

    def _rules_of(self, mirrored: Mirrored) -> Rules:
        place = mirrored.phase, mirrored.route
        found = self._by_route.get(place)
        if found is None:
            found = self._by_route[place] = self._of(mirrored.phase).rules.of(mirrored.route)
        return found

    def _groups_of(self, phase: str) -> Groups:
        found = self._groups.get(phase)
        if found is None:
            found = self._groups[phase] = Groups(self._of(phase))
        return found

    def _of(self, phase: str) -> ShadowRules:
        return self._rules.get(phase) or _DEFAULT


_DEFAULT = ShadowRules()
_Asked: TypeAlias = tuple[Answer | NoAnswer, float]


@dataclass(frozen=True, slots=True)
class _Answers:
    """What both sides said to one request; ``again`` is what the monolith said a second time."""

    primary: Answer
    shadow: Answer
    again: Answer | None
    shadow_ms: float


async def _in_any_order(asking: list[Coroutine[Any, Any, _Asked]]) -> list[_Asked]:
    """The answers in the order given, the questions sent in any."""
    if len(asking) == 1:  # as nearly always: a task for it would be a tenth of the whole shadow's work
        return [await asking[0]]
    order = sorted(range(len(asking)), key=lambda _: random())  # noqa: S311 (no secret)
    answers = await asyncio.gather(*(asking[at] for at in order))
    return [answer for _, answer in sorted(zip(order, answers, strict=True), key=itemgetter(0))]


def _sample(mirrored: Mirrored, outcome: Outcome, answers: _Answers, shadow_ms: float) -> Comparison:
    return Comparison(
        mirrored.phase,
        mirrored.group,
        mirrored.request_id,
        mirrored.method.decode("latin-1"),
        redact_target(mirrored.target.decode("latin-1")),
        time(),
        outcome.differences,
        answers.primary.status,
        answers.shadow.status,
        mirrored.primary_ms,
        shadow_ms,
    )
