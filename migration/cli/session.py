"""One command's objects: opened when it starts, let go of when it ends."""

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
