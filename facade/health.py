"""Active health checks: each worker asks each instance now and then whether it is well."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from random import uniform

from facade.config import HealthCheck, Limits, Timeouts
from facade.instances import Instances
from facade.mirror import NoAnswer, ask
from facade.pool import Pool

FAILURES = 2
"""So many failed checks in a row make an instance unwell; one that succeeds makes it well again."""
_MOST_BODY = 64 * 1024


class HealthChecks:
    """Those of one worker, on connections of their own: a busy pool must not look like a sick instance."""

    def __init__(self, sides: Iterable[Instances], timeouts: Timeouts, limits: Limits) -> None:
        self._checked = [
            (pool, Pool(pool.upstream, timeouts, replace(limits, connections=1)), side.health)
            for side in sides
            if side.health is not None
            for pool in side.pools
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(_watch(*checked)) for checked in self._checked]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, own, _ in self._checked:
            own.close()


async def _watch(pool: Pool, own: Pool, check: HealthCheck) -> None:
    failures = 0
    while True:
        failures = 0 if await _is_well(own, check) else failures + 1
        if failures in {0, FAILURES}:
            pool.healthy = failures == 0
        await asyncio.sleep(check.interval * uniform(0.9, 1.1))  # noqa: S311 (so that workers take turns)


async def _is_well(own: Pool, check: HealthCheck) -> bool:
    host = own.upstream.host_field.decode()
    lines = (f"GET {check.path} HTTP/1.1", f"Host: {host}", "User-Agent: strangler-health")
    request = "\r\n".join((*lines, "", "")).encode()
    try:
        answer = await ask(own, request, head_only=False, timeout=check.timeout, most=_MOST_BODY)
    except NoAnswer:
        return False
    return 200 <= answer.status < 300
