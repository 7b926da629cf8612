"""CRUD of the searches that a user keeps. Nobody sees another user's."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from monolith.base import now
from monolith.dependencies import Data, UserId
from monolith.fields import Id
from monolith.pages import Page, fetch
from monolith.preconditions import IfMatch, IfNoneMatch, entity_tag, not_modified, require_match
from monolith.search.models import SavedSearch
from monolith.search.schemas import SavedSearchIn, SavedSearchOut, SavedSearchQuery

router = APIRouter(prefix="/search/saved", tags=["search"])

SavedSearchId = Annotated[Id, Path()]


@router.get("")
def list_saved(
    query: Annotated[SavedSearchQuery, Query()], user_id: UserId, data: Data
) -> Page[SavedSearchOut]:
    found = select(SavedSearch).where(SavedSearch.user_id == user_id)
    if query.notify is not None:
        found = found.where(SavedSearch.notify == query.notify)
    if query.client_ref is not None:
        found = found.where(SavedSearch.client_ref == query.client_ref)
    with data.reading() as session:
        rows, total = fetch(session, found, SavedSearch.id, query)
    items = [SavedSearchOut.model_validate(row) for row in rows]
    return Page[SavedSearchOut](items=items, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
def save(body: SavedSearchIn, user_id: UserId, data: Data, response: Response) -> SavedSearchOut:
    at = now()
    row = SavedSearch(user_id=user_id, version=1, created_at=at, updated_at=at, **body.model_dump())
    with data.writing() as session:
        session.add(row)
    response.headers["Location"] = f"/search/saved/{row.id}"
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return SavedSearchOut.model_validate(row)


@router.get("/{saved_id}", response_model=SavedSearchOut)
def read_saved(
    saved_id: SavedSearchId,
    user_id: UserId,
    data: Data,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> SavedSearchOut | Response:
    with data.reading() as session:
        row = _own(session, saved_id, user_id)
    tag = entity_tag(row.id, row.version)
    response.headers["ETag"] = tag
    return not_modified(if_none_match, tag) or SavedSearchOut.model_validate(row)


@router.put("/{saved_id}")
def replace_saved(
    saved_id: SavedSearchId,
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
        for field, value in body.model_dump(exclude={"client_ref"}).items():
            setattr(row, field, value)
        row.version += 1
        row.updated_at = now()
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return SavedSearchOut.model_validate(row)


@router.delete("/{saved_id}", status_code=204)
def forget(saved_id: SavedSearchId, user_id: UserId, data: Data, if_match: IfMatch = None) -> None:
    with data.writing() as session:
        row = _own(session, saved_id, user_id, lock=True)
        require_match(if_match, entity_tag(row.id, row.version))
        session.delete(row)


def _own(session: Session, saved_id: int, user_id: int, *, lock: bool = False) -> SavedSearch:
    row = session.get(SavedSearch, saved_id, with_for_update=lock or None)
    if row is None or row.user_id != user_id:
        raise HTTPException(404, "Saved search not found")
    return row
