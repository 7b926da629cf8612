"""One command's objects: opened when it starts, let go of when it ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migration.wiring import Wiring


@contextmanager
def opened(plan: Path) -> Iterator[Wiring]:
    """The wiring of the plan at ``plan``. Raises PlanError."""
    wiring = Wiring.load(plan)
    try:
        yield wiring
    finally:
        wiring.close()


@contextmanager
def stopped_by_signal() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that what is under way ends before the command does."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, before)
