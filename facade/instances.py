"""The servers of one side, all alike: which of them is asked next, and how often requests may be repeated."""

from time import monotonic

from facade.config import Backend, Limits, Timeouts
from facade.pool import Pool

RETRIES = 3
RETRY_SHARE = 0.2
"""At most so many requests are being repeated at a time, or this share of all if that is more: repeating must
not be what keeps a weak side down."""


class Instances:
    """One side's pools. ``retrying`` counts the requests that are being repeated now; ``concurrency`` is how
    many there may be at a time, None for no limit; ``only`` is the pool where there is one."""

    def __init__(self, backend: Backend, timeouts: Timeouts, limits: Limits) -> None:
        self.pools = tuple(Pool(upstream, timeouts, limits) for upstream in backend.instances)
        self.health = backend.health
        self.retrying = 0
        self.concurrency = backend.concurrency
        self.only = self.pools[0] if len(self.pools) == 1 else None
        self._turn = 0

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return sum(pool.size for pool in self.pools)

    @property
    def busy(self) -> int:
        """Requests that are being answered or wait for a connection."""
        return sum(pool.busy for pool in self.pools)

    @property
    def may_retry(self) -> bool:
        return self.retrying < max(RETRIES, RETRY_SHARE * self.busy)

    def choose(self, *, spare: bool, probing: bool = True, without: Pool | None = None) -> Pool | None:
        """The instance with the fewest requests among those that are well.

        An ejected one gets its probes from requests that may be ``probing``. When none is well the answer is
        None if there is a ``spare`` side, otherwise some instance: a small chance is better than none. One
        that just failed, ``without``, comes last.
        """
        only = self.only
        if only is not None:
            return only if not spare or _admits(only, probing=True) else None
        self._turn += 1
        order = sorted(self._rotated(), key=lambda pool: (pool is without, pool.busy))
        well = next((pool for pool in order if pool is not without and _admits(pool, probing=probing)), None)
        return well if well is not None or spare else order[0]

    def refuse(self, now: float) -> bool:
        """Whether ``choose`` with a spare side would find none now. Asking takes no probe."""
        return all(not pool.healthy or pool.ejection.refuses(now) for pool in self.pools)

    def sweep(self, now: float) -> None:
        for pool in self.pools:
            pool.sweep(now)

    def close(self) -> None:
        for pool in self.pools:
            pool.close()

    def _rotated(self) -> tuple[Pool, ...]:
        """Equally busy instances take turns."""
        first = self._turn % len(self.pools)
        return self.pools[first:] + self.pools[:first]


def _admits(pool: Pool, *, probing: bool) -> bool:
    if not pool.healthy:
        return False
    ejection = pool.ejection
    return not ejection.ejected or (probing and ejection.admits(monotonic()))
