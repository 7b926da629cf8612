"""The table of saved searches."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from monolith.base import Base, Money, UtcDateTime


class SavedSearch(Base):
    """A search that a user keeps, and the price below which they want to hear of a match.

    ``legacy_rank`` dates from an importer long gone; nothing writes it any more.
    """

    __tablename__ = "saved_searches"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    query: Mapped[str] = mapped_column(String(200))
    filters: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    threshold: Mapped[Decimal | None] = mapped_column(Money)
    notify: Mapped[bool]
    note: Mapped[str | None] = mapped_column(Text)
    legacy_rank: Mapped[int | None]
    client_ref: Mapped[str | None] = mapped_column(String(64), index=True)
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
