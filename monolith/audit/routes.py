"""Reading the audit log."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from monolith.audit.models import AuditEntry
from monolith.dependencies import Data, UserId
from monolith.fields import Id, Line
from monolith.pages import Page, Paging, fetch

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditQuery(Paging):
    actor_id: Id | None = None
    action: Line | None = None
    entity: Line | None = None
    entity_id: Id | None = None


class AuditItem(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    actor_id: int | None
    action: str
    entity: str
    entity_id: int
    details: dict[str, Any] | None
    created_at: datetime


@router.get("")
def entries(query: Annotated[AuditQuery, Query()], _user_id: UserId, data: Data) -> Page[AuditItem]:
    """Newest first; each filter that is given must match exactly."""
    found = select(AuditEntry)
    for column in (AuditEntry.actor_id, AuditEntry.action, AuditEntry.entity, AuditEntry.entity_id):
        wanted = getattr(query, column.key)
        if wanted is not None:
            found = found.where(column == wanted)
    with data.reading() as session:
        rows, total = fetch(session, found, AuditEntry.id.desc(), query)
    items = [AuditItem.model_validate(row) for row in rows]
    return Page[AuditItem](items=items, total=total, limit=query.limit, offset=query.offset)
