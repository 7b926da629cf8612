"""When clients last wrote: one table of times that all workers of a host share.

A client's place in the table is a hash of its phase and key, and what is kept there is only ever made later.
So the table needs no lock, no expiry and never grows; two clients that share a place are both taken for the
one who wrote last. That sends a read to the writer that need not have gone there, never the other way round.
"""

from mmh3 import hash as murmur3

from facade.shared_file import SEED, shared

PLACES = 1 << 16


class Pins:
    """The table. ``file`` is what the workers of one host share; without one it is this process's alone."""

    def __init__(self, file: str | None = None) -> None:
        self._times = shared(file, 8 * PLACES)[SEED:].cast("d")

    def wrote(self, phase: str, key: str, at: float) -> None:
        """A write of this client was answered at ``at``, seconds since 1970."""
        place = _place(phase, key)
        self._times[place] = max(self._times[place], at)

    def last(self, phase: str, key: str) -> float:
        """When this client last wrote, or later; 0.0 if it did not."""
        return self._times[_place(phase, key)]


def _place(phase: str, key: str) -> int:
    return murmur3(f"{phase}:{key}", signed=False) % PLACES
