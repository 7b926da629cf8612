"""Which cores a process may use, so that a server and its load do not share one."""

import contextlib
import os
from collections.abc import Iterator

_OFFERED = hasattr(os, "sched_setaffinity")


def available() -> list[int]:
    """The cores this process may use, lowest first."""
    return sorted(os.sched_getaffinity(0)) if _OFFERED else list(range(os.cpu_count() or 1))


@contextlib.contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Everything that this thread starts within the block stays on ``cores``; the thread itself returns.

    Systems other than Linux do not offer this, and run unpinned.
    """
    if not _OFFERED:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
