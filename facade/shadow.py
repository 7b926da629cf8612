"""Shadow traffic: reads that the monolith answered are asked of the service too, and compared.

All of it is off the user's path (invariant I5): a bounded queue, own connections, an own deadline, a
breaker, and one thread that compares. What does not fit is dropped and counted by its reason:
``body_too_large``, ``queue_full``, ``breaker_open``, ``timeout``, ``connect``, ``closed``, ``broken``,
``malformed``, ``no_service``, ``recheck_failed``, ``compare_failed``, ``shutdown``.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic, time
from typing import TYPE_CHECKING

from facade.accounts import Accounts
from facade.compare import Answer, Outcome, Rules, compare
from facade.config import FacadeConfig, ShadowRules
from facade.evidence import Comparison
from facade.instances import Instances
from facade.mirror import Copy, NoAnswer, ask
from facade.mirrored import Mirrored
from facade.pool import Pool
from facade.redact import redact_target

if TYPE_CHECKING:
    from facade.exchange import Exchange

_SMALL = 16 * 1024
"""Bytes of equal bodies that are compared sooner than a thread is asked to."""
SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Shadow:
    """The shadow of one worker. ``offer`` never waits and never raises."""

    def __init__(self, config: FacadeConfig) -> None:
        limits = replace(config.limits, connections=config.limits.shadow_senders)
        self.accounts = Accounts()
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
        """The monolith answered a read. Called on the hot path, behind the answer's last byte."""
        match = exchange.match
        if match is None or match.route.phase is None or exchange.method not in SAFE:
            return
        phase, route = match.route.phase, match.route.name or match.route.path
        if len(self._open) >= self._most_open:
            self.accounts.drop(phase, route, "queue_full")
            return
        mirrored = Mirrored.of(exchange, phase, route, copy, seconds)
        task = asyncio.get_running_loop().create_task(self.settle(mirrored))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def settle(self, mirrored: Mirrored) -> None:
        """Bring one mirrored request to exactly one end in the accounts."""
        try:
            await self._compare(mirrored)
        except NoAnswer as nothing:
            self.accounts.drop(mirrored.phase, mirrored.route, nothing.reason)
        except asyncio.CancelledError:
            self.accounts.drop(mirrored.phase, mirrored.route, "shutdown")
            raise
        except Exception:  # noqa: BLE001 (whatever a comparison does wrong, the books must balance)
            self.accounts.drop(mirrored.phase, mirrored.route, "compare_failed")

    async def _compare(self, mirrored: Mirrored) -> None:
        service = self._services.get(mirrored.phase)
        if service is None:
            raise NoAnswer("no_service")
        chosen = self._rules.get(mirrored.phase) or ShadowRules()
        rules = chosen.rules.of(mirrored.route)
        primary = mirrored.copy.answer()
        shadow, shadow_ms = await self._ask_service(service, mirrored, chosen.timeout)
        outcome = await self._compared(primary, shadow, rules, mirrored)
        again = bool(outcome.differences)
        if again:
            # A write may have passed between the two answers: only what still differs counts.
            await asyncio.sleep(self._recheck_delay)
            primary, shadow = await self._ask_both(service, mirrored, chosen.timeout)
            outcome = await self._compared(primary, shadow, rules, mirrored)
        if outcome.differences:
            self.accounts.sample(_sample(mirrored, outcome, primary, shadow, shadow_ms))
        self.accounts.compared(
            mirrored.phase,
            mirrored.route,
            outcome,
            stale=again,
            primary_ms=mirrored.primary_ms,
            shadow_ms=shadow_ms,
        )

    async def _compared(self, primary: Answer, shadow: Answer, rules: Rules, mirrored: Mirrored) -> Outcome:
        asked = mirrored.asked(self._own)
        if len(primary.body) <= _SMALL and primary.body == shadow.body:
            return compare(primary, shadow, rules, asked)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._comparing, compare, primary, shadow, rules, asked)

    async def _ask_service(
        self,
        service: Instances,
        mirrored: Mirrored,
        timeout: float,  # noqa: ASYNC109 (see ask)
    ) -> tuple[Answer, float]:
        async with self._senders:
            pool = service.choose(spare=True)
            if pool is None:
                raise NoAnswer("breaker_open")
            started = monotonic()
            try:
                answer = await self._ask(pool, mirrored, timeout)
            except NoAnswer:
                pool.ejection.failed(monotonic())
                raise
            pool.ejection.succeeded()
            return answer, (monotonic() - started) * 1000

    async def _ask_both(
        self,
        service: Instances,
        mirrored: Mirrored,
        timeout: float,  # noqa: ASYNC109 (see ask)
    ) -> tuple[Answer, Answer]:
        async with self._senders:
            answers = await asyncio.gather(
                self._ask(self._monolith.choose(spare=False), mirrored, timeout),
                self._ask(service.choose(spare=False), mirrored, timeout),
                return_exceptions=True,
            )
        primary, shadow = answers
        if isinstance(primary, BaseException) or isinstance(shadow, BaseException):
            raise NoAnswer("recheck_failed")
        return primary, shadow

    async def _ask(self, pool: Pool | None, mirrored: Mirrored, timeout: float) -> Answer:  # noqa: ASYNC109 (see ask)
        if pool is None:
            raise NoAnswer("no_service")
        head_only = mirrored.method == b"HEAD"
        request = mirrored.request(pool.upstream)
        return await ask(pool, request, head_only=head_only, timeout=timeout, most=self._most_body)


def _sample(
    mirrored: Mirrored, outcome: Outcome, primary: Answer, shadow: Answer, shadow_ms: float
) -> Comparison:
    return Comparison(
        mirrored.phase,
        mirrored.route,
        mirrored.request_id,
        mirrored.method.decode("latin-1"),
        redact_target(mirrored.target.decode("latin-1")),
        time(),
        outcome.differences,
        primary.status,
        shadow.status,
        mirrored.primary_ms,
        shadow_ms,
    )
