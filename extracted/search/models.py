"""The service's tables. None refers to another: what the monolith feeds them may arrive in any order."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Identity, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# SQLite numbers rows only for columns that are declared INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as a timestamp without time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its signature
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Mapped classes of the service."""


class Document(Base):
    """A resource as search shows it; ``folded`` is its case-folded text, ``removed_at`` hides it."""

    __tablename__ = "documents"

    resource_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    category: Mapped[str] = mapped_column(String(40), index=True)
    heading: Mapped[str] = mapped_column(String(200))
    content: Mapped[str | None] = mapped_column(Text)
    folded: Mapped[str] = mapped_column(Text)
    price_cents: Mapped[int | None] = mapped_column(BigInteger)
    attributes: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Label(Base):
    """A tag; its text is case-folded."""

    __tablename__ = "labels"

    label_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(String(120), index=True)


class DocumentLabel(Base):
    """Which document carries which label."""

    __tablename__ = "document_labels"

    resource_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    label_id: Mapped[int] = mapped_column(BigId, primary_key=True, index=True)


class SavedQuery(Base):
    """A search that a user keeps; its ids continue the monolith's."""

    __tablename__ = "saved_queries"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger, index=True)
    label: Mapped[str] = mapped_column(String(200))
    terms: Mapped[str] = mapped_column(String(200))
    criteria: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    threshold_cents: Mapped[int | None] = mapped_column(BigInteger)
    notify: Mapped[bool]
    note: Mapped[str | None] = mapped_column(Text)
    client_ref: Mapped[str | None] = mapped_column(String(64), index=True)
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


def now() -> datetime:
    """The current time in UTC, to the microsecond."""
    return datetime.now(UTC)
