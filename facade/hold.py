"""Writes that wait at a fence: in order of arrival, their bodies unread, bounded in count and bytes."""

from collections.abc import Container
from typing import Protocol


class Held(Protocol):
    """A request that can wait."""

    def released(self) -> None:
        """The fence is down: decide again."""


class Holds:
    """The held writes of one worker, by phase."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._held: dict[Held, tuple[str, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def add(self, held: Held, phase: str, size: int) -> bool:
        """Let a write wait; ``size`` is how many bytes of it are kept. False when a cap is reached."""
        if len(self._held) >= self._most or self._bytes + size > self._most_bytes:
            return False
        self._held[held] = (phase, size)
        self._bytes += size
        return True

    def remove(self, held: Held) -> None:
        """The write no longer waits."""
        _, size = self._held.pop(held, ("", 0))
        self._bytes -= size

    def release(self, holding: Container[str]) -> None:
        """Let everything go on whose phase is not ``holding`` any more."""
        free = [held for held, (phase, _) in self._held.items() if phase not in holding]
        for held in free:
            self.remove(held)
        for held in free:
            held.released()
