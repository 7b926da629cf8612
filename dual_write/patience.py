"""Patience with locks: changes of a schema that give way to whoever is at work."""

import time
from collections.abc import Callable

from dual_write.errors import LockedError

_ATTEMPTS = 15
_PAUSE_SECONDS = 0.2


def patiently(act: Callable[[], None]) -> None:
    """Try again while others hold locks, giving way in between. Raises the last LockedError."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            act()
        except LockedError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
