"""Reading ahead: while one batch of a channel is written, the next is read, each as long as time allows."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

from dual_write.channel import Batch, Channel, Step

SMALLEST, LARGEST = 250, 8000
_BRISK_SECONDS, _LONG_SECONDS = 0.2, 0.5


def paced(limit: int, entries: int, seconds: float) -> int:
    """How many entries the next batch may have: more while full ones are written briskly, fewer when not.

    A batch's length is what its rows take in memory, and how long a switch waits for the inbox.
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
        self._reader: ThreadPoolExecutor | None = None
        self._next: Future[Batch | None] | None = None

    def step(self, limit: int) -> Step:
        """As ``Channel.step``. What was read ahead is dropped when the batch before it was not written."""
        limit = min(limit, self._limit)
        batch = self._read(limit)
        if batch is None:
            return Step(0)
        if batch.full:
            self._reader = self._reader or ThreadPoolExecutor(1, thread_name_prefix="read ahead")
            self._next = self._reader.submit(self._channel.read, limit, behind=batch)
        began = time.monotonic()
        try:
            step = self._channel.write(batch)
        except BaseException:
            self._drop()
            raise
        if step.raced:
            self._drop()
        self._limit = paced(self._limit, step.passed, time.monotonic() - began)
        return step

    def close(self) -> None:
        """Let go of the thread; a later step starts anew."""
        self._drop()
        if self._reader is not None:
            self._reader.shutdown()
            self._reader = None

    def _read(self, limit: int) -> Batch | None:
        if self._next is None:
            return self._channel.read(limit)
        ahead, self._next = self._next, None
        return ahead.result()

    def _drop(self) -> None:
        """Wait for what is being read, which the schemas may not be looked at anew meanwhile, and forget it."""
        ahead, self._next = self._next, None
        if ahead is not None:
            ahead.exception()
