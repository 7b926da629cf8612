"""The files that a resource refers to."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from sqlalchemy import select

from monolith.audit.log import record
from monolith.base import now
from monolith.dependencies import Data, UserId
from monolith.fields import Id
from monolith.pages import Page, Paging, fetch
from monolith.resources.models import File
from monolith.resources.routes import ResourceId, live, owned
from monolith.resources.schemas import FileIn, FileOut

router = APIRouter(prefix="/resources/{resource_id}/files", tags=["resources"])


@router.get("")
def list_files(
    resource_id: ResourceId, query: Annotated[Paging, Query()], _user_id: UserId, data: Data
) -> Page[FileOut]:
    found = select(File).where(File.resource_id == resource_id)
    with data.reading() as session:
        live(session, resource_id)
        rows, total = fetch(session, found, File.id, query)
    items = [FileOut.model_validate(row) for row in rows]
    return Page[FileOut](items=items, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
def add_file(resource_id: ResourceId, body: FileIn, user_id: UserId, data: Data) -> FileOut:
    row = File(resource_id=resource_id, uploaded_by=user_id, created_at=now(), **body.model_dump())
    with data.writing() as session:
        owned(session, resource_id, user_id)
        session.add(row)
        session.flush()
        record(session, user_id, "file.added", "file", row.id, details={"resource_id": resource_id})
    return FileOut.model_validate(row)


@router.delete("/{file_id}", status_code=204)
def remove_file(resource_id: ResourceId, file_id: Annotated[Id, Path()], user_id: UserId, data: Data) -> None:
    with data.writing() as session:
        owned(session, resource_id, user_id)
        row = session.get(File, file_id)
        if row is None or row.resource_id != resource_id:
            raise HTTPException(404, "File not found")
        session.delete(row)
        record(session, user_id, "file.removed", "file", file_id, details={"resource_id": resource_id})
