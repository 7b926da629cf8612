"""Searching live resources."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement, Select, or_, select

from monolith.dependencies import Data, UserId
from monolith.resources.models import Resource, ResourceTag, Tag
from monolith.resources.tagging import tags_of
from monolith.search.schemas import Hit, Hits, SearchQuery
from monolith.search.terms import terms

router = APIRouter(prefix="/search", tags=["search"])


@router.get("")
def search(query: Annotated[SearchQuery, Query()], _user_id: UserId, data: Data) -> Hits:
    """Live resources, newest first, in which each term of ``q`` occurs: in title, body or a tag's name."""
    page = _matching(query).order_by(Resource.id.desc()).limit(query.limit + 1).offset(query.offset)
    with data.reading() as session:
        rows = session.scalars(page).all()
        shown = rows[: query.limit]
        tags = tags_of(session, [row.id for row in shown])
    return Hits(
        items=[Hit.of(row, tags[row.id]) for row in shown],
        limit=query.limit,
        offset=query.offset,
        has_more=len(rows) > query.limit,
    )


def _matching(query: SearchQuery) -> Select[Resource]:
    found = select(Resource).where(Resource.deleted_at.is_(None))
    for term in terms(query.q):
        found = found.where(
            or_(
                Resource.search_text.contains(term, autoescape=True),
                _tagged(Tag.name.contains(term, autoescape=True)),
            )
        )
    if query.kind is not None:
        found = found.where(Resource.kind == query.kind)
    if query.tag is not None:
        found = found.where(_tagged(Tag.name == query.tag))
    if query.min_price is not None:
        found = found.where(Resource.price >= query.min_price)
    if query.max_price is not None:
        found = found.where(Resource.price <= query.max_price)
    return found


def _tagged(matches: ColumnElement[bool]) -> ColumnElement[bool]:
    # Not a join: SQLite would walk all of resource_tags before it looked at the few tags.
    tags = select(Tag.id).where(matches)
    return Resource.id.in_(select(ResourceTag.resource_id).where(ResourceTag.tag_id.in_(tags)))
