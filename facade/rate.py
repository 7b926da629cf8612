"""Rate limits: one token bucket for each client, shared by the workers of a host.

A bucket is one number, the time at which it will be full again: a request moves it on by the time in which a
token comes back, and is refused when it would lie further ahead than a whole burst takes. All buckets are in
one table of fixed size. A client's bucket is in one of eight places that a keyed hash chooses, with a
fingerprint; a bucket that is full again need not be kept; when none of the eight is, the fullest makes way.
Workers write without a lock: of two requests in the same microsecond one may go uncounted.
"""

from collections.abc import Mapping
from time import time_ns

from mmh3 import hash64

from facade.config import RateLimit
from facade.shared_file import SEED, shared

PLACES = 1 << 16
_WAYS = 8


class RateLimits:
    """The limits by phase; the empty name has the one for all requests. ``file`` is shared by the workers."""

    def __init__(self, limits: Mapping[str, RateLimit], file: str | None = None) -> None:
        self._limits = limits
        memory = shared(file, 16 * PLACES)
        self._seed = int.from_bytes(memory[: SEED // 2], "little")
        self._cells = memory[SEED:].cast("Q")

    def wait(self, phase: str, key: str | None, address: str, now: int | None = None) -> float:
        """Take a token: 0.0, or in how many seconds there will be one. ``now`` is in nanoseconds."""
        moment = time_ns() if now is None else now
        for name in ("", phase) if phase else ("",):
            limit = self._limits.get(name)
            if limit is not None:
                client = f"key {key}" if limit.by_key and key is not None else f"address {address}"
                wait = self._take(f"{name} {client}", limit, moment)
                if wait:
                    return wait
        return 0.0

    def _take(self, client: str, limit: RateLimit, now: int) -> float:
        one = int(1e9 / limit.rate)
        at, mark = self._find(client, now)
        cells = self._cells
        full = max(cells[at + 1], now) if cells[at] == mark else now
        ahead = full + one - now - limit.burst * one
        if ahead > 0:
            return ahead / 1e9
        cells[at], cells[at + 1] = mark, full + one
        return 0.0

    def _find(self, client: str, now: int) -> tuple[int, int]:
        """Where the client's bucket is, or may be put, and its fingerprint."""
        place, mark = hash64(client, self._seed, signed=False)
        cells = self._cells
        first = 2 * (place % (PLACES // _WAYS)) * _WAYS
        spare, soonest = first, cells[first + 1]
        for at in range(first, first + 2 * _WAYS, 2):
            if cells[at] == mark and cells[at + 1] > now:
                return at, mark
            if cells[at + 1] < soonest:
                spare, soonest = at, cells[at + 1]
        return spare, mark
