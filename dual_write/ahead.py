"""Reading ahead: while one batch of a channel is written, the next is read, each as long as time allows."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from dual_write.batch import Batch, Step
from dual_write.channel import Channel
from dual_write.errors import FencedError

SMALLEST, LARGEST = 250, 8000
_BRISK_SECONDS, _LONG_SECONDS = 0.05, 0.15
_LONGEST_AHEAD_SECONDS = 0.5
_FIRST_YIELD_SECONDS, _LONGEST_YIELD_SECONDS = 0.25, 2.0


def paced(limit: int, entries: int, seconds: float) -> int:
    """How many entries the next batch may have: more while full ones are written briskly, fewer when not.

    A batch's length is what its rows take in memory, how long its first change waits for its last to become
    visible, and how long a switch waits for the inbox.
    """
    if seconds > _LONG_SECONDS:
        return max(SMALLEST, limit // 2)
    if entries >= limit and seconds < _BRISK_SECONDS:
        return min(LARGEST, limit * 2)
    return limit


class ReadAhead:
    """A channel's steps. Not safe between threads; it has one of its own, from the first full batch on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._limit = SMALLEST * 4
        self._yield = _FIRST_YIELD_SECONDS
        self._waits_until = 0.0
        self._ahead_until = 0.0
        self._reader: ThreadPoolExecutor | None = None
        self._next: Future[Batch | None] | None = None

    def step(self, limit: int) -> Step:
        """As ``Channel.step``. What was read ahead is read anew if anything has come in between.

        After a lost race it lets the other process go on alone for a while.
        """
        if time.monotonic() < self._waits_until:
            return Step(0, raced=True)
        limit = min(limit, self._limit)
        ahead = self._take()
        if ahead is not None:
            with suppress(FencedError):  # of an epoch that is over, perhaps: the new one's batch will tell
                step = self._write(ahead, limit)
                if not step.raced:
                    return step
        # Only here parked keys are tried again, and tables looked at that did not fit.
        self._ahead_until = time.monotonic() + _LONGEST_AHEAD_SECONDS
        batch = self._channel.read(limit)
        step = Step(0) if batch is None else self._write(batch, limit)
        if step.raced and not step.outdated:
            self._yield = min(self._yield * 2, _LONGEST_YIELD_SECONDS)
            self._waits_until = time.monotonic() + self._yield
        elif step.passed:
            self._yield = _FIRST_YIELD_SECONDS
        return step

    def close(self) -> None:
        """Let go of the thread; a later step starts anew."""
        self._take()
        if self._reader is not None:
            self._reader.shutdown()
            self._reader = None

    def _write(self, batch: Batch, limit: int) -> Step:
        began = time.monotonic()
        if batch.full and began < self._ahead_until:
            self._reader = self._reader or ThreadPoolExecutor(1, thread_name_prefix="read ahead")
            self._next = self._reader.submit(self._channel.read, limit, behind=batch.after)
        try:
            step = self._channel.write(batch)
        except BaseException:
            self._take()
            raise
        if step.raced:
            self._take()
        self._limit = paced(self._limit, step.passed, time.monotonic() - began)
        return step

    def _take(self) -> Batch | None:
        """What was read ahead, once it is read; a failure is left to the next read to meet again."""
        ahead, self._next = self._next, None
        return None if ahead is None or ahead.exception() else ahead.result()
