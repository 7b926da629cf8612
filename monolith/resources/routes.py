"""CRUD of resources, with tags, soft delete and entity tags."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from monolith.audit.log import record
from monolith.base import now
from monolith.dependencies import Data, UserId
from monolith.fields import Id
from monolith.pages import Page, fetch
from monolith.preconditions import IfMatch, IfNoneMatch, entity_tag, not_modified, require_match
from monolith.resources.models import Resource, ResourceTag, Tag
from monolith.resources.schemas import ResourceIn, ResourceOut, ResourceQuery
from monolith.resources.tagging import set_tags, tags_of
from monolith.search.terms import searchable

router = APIRouter(prefix="/resources", tags=["resources"])

ResourceId = Annotated[Id, Path()]


@router.get("")
def list_resources(
    query: Annotated[ResourceQuery, Query()], _user_id: UserId, data: Data
) -> Page[ResourceOut]:
    """Live resources in the order of their ids."""
    found = _filtered(query)
    with data.reading() as session:
        rows, total = fetch(session, found, Resource.id, query)
        tags = tags_of(session, [row.id for row in rows])
    items = [ResourceOut.of(row, tags[row.id]) for row in rows]
    return Page[ResourceOut](items=items, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
def create_resource(body: ResourceIn, user_id: UserId, data: Data, response: Response) -> ResourceOut:
    at = now()
    row = Resource(owner_id=user_id, version=1, created_at=at, updated_at=at)
    _fill(row, body)
    row.client_ref = body.client_ref
    with data.writing() as session:
        session.add(row)
        session.flush()
        set_tags(session, row.id, body.tags)
        record(session, user_id, "resource.created", "resource", row.id)
    response.headers["Location"] = f"/resources/{row.id}"
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return ResourceOut.of(row, sorted(body.tags))


@router.get("/{resource_id}", response_model=ResourceOut)
def read_resource(
    resource_id: ResourceId,
    _user_id: UserId,
    data: Data,
    response: Response,
    if_none_match: IfNoneMatch = None,
) -> ResourceOut | Response:
    with data.reading() as session:
        row = live(session, resource_id)
        tags = tags_of(session, [row.id])
    tag = entity_tag(row.id, row.version)
    response.headers["ETag"] = tag
    return not_modified(if_none_match, tag) or ResourceOut.of(row, tags[row.id])


@router.put("/{resource_id}")
def replace_resource(
    resource_id: ResourceId,
    body: ResourceIn,
    user_id: UserId,
    data: Data,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> ResourceOut:
    """``client_ref`` names the creation and is left as it was."""
    with data.writing() as session:
        row = owned(session, resource_id, user_id)
        require_match(if_match, entity_tag(row.id, row.version))
        _fill(row, body)
        row.version += 1
        row.updated_at = now()
        set_tags(session, row.id, body.tags)
        record(session, user_id, "resource.replaced", "resource", row.id, details={"version": row.version})
    response.headers["ETag"] = entity_tag(row.id, row.version)
    return ResourceOut.of(row, sorted(body.tags))


@router.delete("/{resource_id}", status_code=204)
def delete_resource(resource_id: ResourceId, user_id: UserId, data: Data, if_match: IfMatch = None) -> None:
    """Hides the resource; its row, tags and files stay."""
    with data.writing() as session:
        row = owned(session, resource_id, user_id)
        require_match(if_match, entity_tag(row.id, row.version))
        row.version += 1
        row.updated_at = row.deleted_at = now()
        record(session, user_id, "resource.deleted", "resource", row.id)


def live(session: Session, resource_id: int, *, lock: bool = False) -> Resource:
    """The resource, locked against other writers if asked. Raises 404 when absent or deleted."""
    row = session.get(Resource, resource_id, with_for_update=lock or None)
    if row is None or row.deleted_at is not None:
        raise HTTPException(404, "Resource not found")
    return row


def owned(session: Session, resource_id: int, user_id: int) -> Resource:
    """The live resource, locked. Raises 404, or 403 when it is somebody else's."""
    row = live(session, resource_id, lock=True)
    if row.owner_id != user_id:
        raise HTTPException(403, "Only the owner may change a resource")
    return row


def _fill(row: Resource, body: ResourceIn) -> None:
    row.kind = body.kind
    row.title = body.title
    row.body = body.body
    row.search_text = searchable(body.title, body.body)
    row.price = body.price
    row.details = body.metadata


def _filtered(query: ResourceQuery) -> Select[Resource]:
    found = select(Resource).where(Resource.deleted_at.is_(None))
    for column in (Resource.kind, Resource.owner_id, Resource.client_ref):
        wanted = getattr(query, column.key)
        if wanted is not None:
            found = found.where(column == wanted)
    if query.tag is not None:
        tagged = select(ResourceTag.resource_id).join(Tag, Tag.id == ResourceTag.tag_id)
        found = found.where(Resource.id.in_(tagged.where(Tag.name == query.tag)))
    if query.min_price is not None:
        found = found.where(Resource.price >= query.min_price)
    if query.max_price is not None:
        found = found.where(Resource.price <= query.max_price)
    return found
