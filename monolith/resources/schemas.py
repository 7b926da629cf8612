"""What the resource routes take and give."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from monolith.fields import ClientRef, Id, JsonObject, Line, Price, Text
from monolith.pages import Paging
from monolith.resources.models import Resource

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]*$", max_length=40)]
TagName = Annotated[
    Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=40), AfterValidator(str.casefold)
]
Size = Annotated[int, Field(ge=0, le=2**53)]


class ResourceIn(BaseModel):
    kind: Kind
    title: Line
    body: Annotated[Text, StringConstraints(max_length=20_000)] | None = None
    price: Price | None = None
    metadata: JsonObject | None = None
    tags: Annotated[frozenset[TagName], Field(max_length=20)] = frozenset()
    client_ref: ClientRef | None = None


class ResourceOut(BaseModel):
    id: int
    owner_id: int
    kind: str
    title: str
    body: str | None
    price: Decimal | None
    metadata: JsonObject | None
    tags: list[str]
    client_ref: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Resource, tags: Sequence[str]) -> "ResourceOut":
        return cls(
            id=row.id,
            owner_id=row.owner_id,
            kind=row.kind,
            title=row.title,
            body=row.body,
            price=row.price,
            metadata=row.details,
            tags=sorted(tags),
            client_ref=row.client_ref,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class ResourceQuery(Paging):
    kind: Kind | None = None
    tag: TagName | None = None
    owner_id: Id | None = None
    client_ref: ClientRef | None = None
    min_price: Price | None = None
    max_price: Price | None = None


class FileIn(BaseModel):
    name: Line
    media_type: Annotated[str, StringConstraints(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)] | None = (
        None
    )
    size_bytes: Size
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    location: Annotated[Text, StringConstraints(min_length=1, max_length=2000)]


class FileOut(FileIn):
    model_config = ConfigDict(from_attributes=True)

    id: int
    resource_id: int
    uploaded_by: int
    created_at: datetime
