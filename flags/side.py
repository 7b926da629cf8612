"""The two sides of a migration, between which every flag and every fence chooses."""

from enum import StrEnum


class Side(StrEnum):
    """Where a request is answered or a row is owned."""

    MONOLITH = "monolith"
    SERVICE = "service"

    @property
    def other(self) -> "Side":
        return Side.SERVICE if self is Side.MONOLITH else Side.MONOLITH
