"""Sending a request again: what may be, how often, and after which pause."""

import asyncio
from collections.abc import Callable
from random import uniform

from facade.instances import Instances

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
PAUSE = 0.025
"""Seconds before the first retry at most, doubled for each further one; how many is drawn at random, so that
requests that failed together do not come back together."""


class Retries:
    """Those of one request; it may have ``most``."""

    __slots__ = ("_attempts", "_budget", "_most", "_timer")

    def __init__(self, most: int) -> None:
        self._most = most
        self._attempts = 0
        self._budget: Instances | None = None
        self._timer: asyncio.TimerHandle | None = None

    def allowed(self, instances: Instances) -> bool:
        """Whether there is one left, for the request and in the side's budget."""
        return self._attempts < self._most and (self._budget is instances or instances.may_retry)

    def again(self, instances: Instances, send: Callable[[], None]) -> None:
        """Call ``send`` after a pause."""
        if self._budget is not instances:
            self.over()
            self._budget = instances
            instances.retrying += 1
        pause = uniform(0, PAUSE * 2**self._attempts)  # noqa: S311 (no secret)
        self._attempts += 1
        self._timer = asyncio.get_running_loop().call_later(pause, send)

    def stop(self) -> None:
        """The pause leads to nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def over(self) -> None:
        """The request is: it takes nothing from the budget any more."""
        self.stop()
        if self._budget is not None:
            self._budget.retrying -= 1
            self._budget = None
