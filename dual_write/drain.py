"""Draining a log that has an end, and catching up with one that goes on."""

import time
from collections.abc import Callable, Sequence

from dual_write.channel import Channel
from dual_write.errors import DataError, DrainTimeout
from dual_write.parking import Parked

_BATCH = 5_000
_PAUSE_SECONDS = 0.01


def drain(phase: str, channel: Channel, deadline: float) -> int:
    """Apply all that a guarded source's log holds, parked keys too; the entries applied.

    Of tables that follow, which nothing guards, what the horizon lets through. ``deadline`` is in seconds of
    ``time.monotonic``. Raises DrainTimeout, and DataError when the source is not guarded.
    """
    moved = not channel.stream.follow
    if moved and not channel.guarded():
        raise DataError(
            f"phase {phase!r}: the {channel.stream.to.other} takes writes, so its change log has no end; "
            "guard it first"
        )
    passed = 0
    while True:
        step = channel.step(_BATCH, beyond_horizon=moved, retry_all=moved)
        passed += step.passed
        stuck = channel.parked() if moved and not step.passed else []
        if not (step.passed or step.raced or stuck):
            return passed
        if time.monotonic() > deadline:
            raise DrainTimeout(_unfinished(phase, stuck))
        if not step.passed:
            time.sleep(_PAUSE_SECONDS)


def settle(channels: Sequence[Channel], step: Callable[[], int], deadline: float) -> bool:
    """Step until what is captured by now is applied; False when ``deadline`` comes first."""
    ends = [(channel, channel.end()) for channel in channels]
    while True:
        step()
        if not any(channel.waits(end) for channel, end in ends):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)


def _unfinished(phase: str, stuck: Sequence[Parked]) -> str:
    if not stuck:
        return (
            f"phase {phase!r}: the change log's end was not reached in time; `strangler status` shows the lag"
        )
    first = stuck[0]
    return (
        f"phase {phase!r}: {len(stuck)} keys are parked, the first in table {first.table!r}, "
        f"key {first.key}: {first.error}. "
        "Mend the row or the target's constraint; it is tried again by itself"
    )
