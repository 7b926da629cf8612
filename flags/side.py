"""The two sides of a migration, between which every flag and every fence chooses."""

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Where a request is answered or a row is owned."""

    MONOLITH = "monolith"
    SERVICE = "service"

    @property
    def other(self) -> "Side":
        return Side.SERVICE if self is Side.MONOLITH else Side.MONOLITH


MONOLITH: Final = Side.MONOLITH
SERVICE: Final = Side.SERVICE
"""For the hot path: Python 3.11 finds a member by its enum in 0.15 µs, and a global in 0.01."""
