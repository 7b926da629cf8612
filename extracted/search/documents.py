"""Searching documents: ``GET /search``."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from extracted.search.amounts import from_cents, to_cents
from extracted.search.dependencies import Data, UserId
from extracted.search.fields import JsonObject, Kind, Price, QueryText, TagName
from extracted.search.models import Document, DocumentLabel, Label
from extracted.search.pages import Paging

EXCERPT = 160

router = APIRouter(prefix="/search", tags=["search"])


class SearchQuery(Paging):
    q: QueryText = ""
    kind: Kind | None = None
    tag: TagName | None = None
    min_price: Price | None = None
    max_price: Price | None = None


class Hit(BaseModel):
    """A document that matched; ``excerpt`` is the beginning of its content."""

    id: int
    kind: str
    title: str
    excerpt: str | None
    price: Decimal | None
    metadata: JsonObject | None
    tags: list[str]
    updated_at: datetime

    @classmethod
    def of(cls, row: Document, labels: Sequence[str]) -> "Hit":
        return cls(
            id=row.resource_id,
            kind=row.category,
            title=row.heading,
            excerpt=None if row.content is None else row.content[:EXCERPT],
            price=from_cents(row.price_cents),
            metadata=row.attributes,
            tags=list(labels),
            updated_at=row.revised_at,
        )


class Hits(BaseModel):
    """One page of hits. They are not counted: ``has_more`` says whether another page follows."""

    items: list[Hit]
    limit: int
    offset: int
    has_more: bool


@router.get("")
def search(query: Annotated[SearchQuery, Query()], _user_id: UserId, data: Data) -> Hits:
    """Live documents, newest first, in which each term of ``q`` occurs: in the text or in a label."""
    page = _matching(query).order_by(Document.resource_id.desc()).limit(query.limit + 1).offset(query.offset)
    with data.reading() as session:
        rows = session.scalars(page).all()
        shown = rows[: query.limit]
        labels = _labels_of(session, [row.resource_id for row in shown])
    return Hits(
        items=[Hit.of(row, labels[row.resource_id]) for row in shown],
        limit=query.limit,
        offset=query.offset,
        has_more=len(rows) > query.limit,
    )


def terms(query: str) -> tuple[str, ...]:
    """The distinct terms of a query, in order: ``"Oak  OAK chair"`` → ``("oak", "chair")``."""
    return tuple(dict.fromkeys(query.casefold().split()))


def _matching(query: SearchQuery) -> Select[Document]:
    found = select(Document).where(Document.removed_at.is_(None))
    for term in terms(query.q):
        found = found.where(
            or_(
                Document.folded.contains(term, autoescape=True),
                _labelled(Label.text.contains(term, autoescape=True)),
            )
        )
    if query.kind is not None:
        found = found.where(Document.category == query.kind)
    if query.tag is not None:
        found = found.where(_labelled(Label.text == query.tag))
    if query.min_price is not None:
        found = found.where(Document.price_cents >= to_cents(query.min_price))
    if query.max_price is not None:
        found = found.where(Document.price_cents <= to_cents(query.max_price))
    return found


def _labelled(matches: ColumnElement[bool]) -> ColumnElement[bool]:
    # Not a join: SQLite would walk all of document_labels before it looked at the few labels.
    labels = select(Label.label_id).where(matches)
    return Document.resource_id.in_(
        select(DocumentLabel.resource_id).where(DocumentLabel.label_id.in_(labels))
    )


def _labels_of(session: Session, documents: Collection[int]) -> Mapping[int, Sequence[str]]:
    """The labels of each document, sorted by code point, which no collation changes."""
    rows = session.execute(
        select(DocumentLabel.resource_id, Label.text)
        .join(Label, Label.label_id == DocumentLabel.label_id)
        .where(DocumentLabel.resource_id.in_(documents))
    )
    texts: dict[int, list[str]] = defaultdict(list)
    for document, text in rows:
        texts[document].append(text)
    return {document: sorted(texts[document]) for document in documents}
