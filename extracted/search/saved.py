"""The queries that a user keeps: ``/search/saved``. Nobody sees another user's."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from extracted.search.amounts import from_cents, to_cents
from extracted.search.dependencies import Data, UserId
from extracted.search.fields import ClientRef, Id, JsonObject, Line, Price, QueryText, Text
from extracted.search.models import SavedQuery, now
from extracted.search.pages import Page, Paging, fetch
from extracted.search.preconditions import IfMatch, IfNoneMatch, entity_tag, not_modified, require_match

router = APIRouter(prefix="/search/saved", tags=["search"])

SavedQueryId = Annotated[Id, Path()]


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
    """A saved query under the names that clients know from the monolith."""

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

    @classmethod
    def of(cls, row: SavedQuery) -> "SavedSearchOut":
        return cls(
            id=row.id,
            user_id=row.owner_id,
            name=row.label,
            query=row.terms,
            filters=row.criteria,
            threshold=from_cents(row.threshold_cents),
            notify=row.notify,
            note=row.note,
            client_ref=row.client_ref,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@router.get("")
def list_saved(
    query: Annotated[SavedSearchQuery, Query()], user_id: UserId, data: Data
) -> Page[SavedSearchOut]:
    found = select(SavedQuery).where(SavedQuery.owner_id == user_id)
    if query.notify is not None:
        found = found.where(SavedQuery.notify == query.notify)
    if query.client_ref is not None:
        found = found.where(SavedQuery.client_ref == query.client_ref)
    with data.reading() as session:
        rows, total = fetch(session, found, SavedQuery.id, query)
    items = [SavedSearchOut.of(row) for row in rows]
    return Page[SavedSearchOut](items=items, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
def save(body: SavedSearchIn, user_id: UserId, data: Data, response: Response) -> SavedSearchOut:
    at = now()
    row = SavedQuery(owner_id=user_id, client_ref=body.client_ref, version=1, created_at=at, updated_at=at)
    _fill(row, body)
    with data.writing() as session:
        session.add(row)
    response.headers["Location"] = f"/search/saved/{row.id}"
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return SavedSearchOut.of(row)


@router.get("/{saved_id}", response_model=SavedSearchOut)
def read_saved(
    saved_id: SavedQueryId,
    user_id: UserId,
    data: Data,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> SavedSearchOut | Response:
    with data.reading() as session:
        row = _own(session, saved_id, user_id)
    tag = entity_tag(row.id, row.version)
    response.headers["ETag"] = tag
    return not_modified(if_none_match, tag) or SavedSearchOut.of(row)


@router.put("/{saved_id}")
def replace_saved(
    saved_id: SavedQueryId,
    body: SavedSearchIn,
    user_id: UserId,
    data: Data,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> SavedSearchOut:
    """``client_ref`` names the creation and is left as it was."""
    with data.writing() as session:
        row = _own(session, saved_id, user_id, lock=True)
        require_match(if_match, entity_tag(row.id, row.version))
        _fill(row, body)
        row.version += 1
        row.updated_at = now()
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return SavedSearchOut.of(row)


@router.delete("/{saved_id}", status_code=204)
def forget(saved_id: SavedQueryId, user_id: UserId, data: Data, if_match: IfMatch = None) -> None:
    with data.writing() as session:
        row = _own(session, saved_id, user_id, lock=True)
        require_match(if_match, entity_tag(row.id, row.version))
        session.delete(row)


def _own(session: Session, saved_id: int, user_id: int, *, lock: bool = False) -> SavedQuery:
    row = session.get(SavedQuery, saved_id, with_for_update=lock or None)
    if row is None or row.owner_id != user_id:
        raise HTTPException(404, "Saved search not found")
    return row


def _fill(row: SavedQuery, body: SavedSearchIn) -> None:
    row.label = body.name
    row.terms = body.query
    row.criteria = body.filters
    row.threshold_cents = to_cents(body.threshold)
    row.notify = body.notify
    row.note = body.note
