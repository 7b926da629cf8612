"""What the search routes take and give."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from monolith.fields import ClientRef, JsonObject, Line, Price, Text
from monolith.pages import Paging
from monolith.resources.models import Resource
from monolith.resources.schemas import Kind, TagName

EXCERPT = 160

QueryText = Annotated[Text, StringConstraints(max_length=200)]


class SearchQuery(Paging):
    q: QueryText = ""
    kind: Kind | None = None
    tag: TagName | None = None
    min_price: Price | None = None
    max_price: Price | None = None


class Hit(BaseModel):
    """A resource that matched; ``excerpt`` is the beginning of its body."""

    id: int
    kind: str
    title: str
    excerpt: str | None
    price: Decimal | None
    metadata: JsonObject | None
    tags: list[str]
    updated_at: datetime

    @classmethod
    def of(cls, row: Resource, tags: Sequence[str]) -> "Hit":
        return cls(
            id=row.id,
            kind=row.kind,
            title=row.title,
            excerpt=None if row.body is None else row.body[:EXCERPT],
            price=row.price,
            metadata=row.details,
            tags=list(tags),
            updated_at=row.updated_at,
        )


class Hits(BaseModel):
    """One page of hits. They are not counted: ``has_more`` says whether another page follows."""

    items: list[Hit]
    limit: int
    offset: int
    has_more: bool


class SavedSearchQuery(Paging):
    notify: bool | None = None
    client_ref: ClientRef | None = None


class SavedSearchIn(BaseModel):
    name: Line
    query: QueryText
    filters: JsonObject | None = None
    threshold: Price | None = None
    notify: bool = False
    note: Annotated[Text, StringConstraints(max_length=2000)] | None = None
    client_ref: ClientRef | None = None


class SavedSearchOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    name: str
    query: str
    filters: JsonObject | None
    threshold: Decimal | None
    notify: bool
    note: str | None
    client_ref: str | None
    version: int
    created_at: datetime
    updated_at: datetime
