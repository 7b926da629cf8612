"""Enqueueing, listing, claiming and finishing jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints
from sqlalchemy import select

from monolith.audit.log import record
from monolith.base import now
from monolith.dependencies import Data, UserId
from monolith.fields import Id, JsonObject, Line, Text
from monolith.jobs.models import Job, JobState
from monolith.pages import Page, Paging, fetch
from monolith.resources.models import Resource

router = APIRouter(prefix="/jobs", tags=["jobs"])

JobKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]*$", max_length=60)]


class JobIn(BaseModel):
    kind: JobKind
    payload: JsonObject | None = None
    resource_id: Id | None = None
    run_after: AwareDatetime | None = None


class JobOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    kind: str
    payload: dict[str, Any] | None
    state: JobState
    enqueued_by: int
    resource_id: int | None
    run_after: datetime
    worker: str | None
    attempts: int
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class JobQuery(Paging):
    state: JobState | None = None
    kind: JobKind | None = None


class Claim(BaseModel):
    worker: Line


class Outcome(BaseModel):
    """How a job ended; ``error`` says why it failed."""

    state: Literal[JobState.DONE, JobState.FAILED]
    error: Annotated[Text, StringConstraints(max_length=2000)] | None = None


@router.get("")
def list_jobs(query: Annotated[JobQuery, Query()], _user_id: UserId, data: Data) -> Page[JobOut]:
    found = select(Job)
    if query.state is not None:
        found = found.where(Job.state == query.state.value)
    if query.kind is not None:
        found = found.where(Job.kind == query.kind)
    with data.reading() as session:
        rows, total = fetch(session, found, Job.id.desc(), query)
    items = [JobOut.model_validate(row) for row in rows]
    return Page[JobOut](items=items, total=total, limit=query.limit, offset=query.offset)


@router.post("", status_code=201)
def enqueue(body: JobIn, user_id: UserId, data: Data) -> JobOut:
    at = now()
    row = Job(
        kind=body.kind,
        payload=body.payload,
        state=JobState.QUEUED.value,
        enqueued_by=user_id,
        resource_id=body.resource_id,
        run_after=body.run_after or at,
        attempts=0,
        created_at=at,
    )
    with data.writing() as session:
        if body.resource_id is not None and session.get(Resource, body.resource_id) is None:
            raise HTTPException(404, "Resource not found")
        session.add(row)
        session.flush()
        record(session, user_id, "job.enqueued", "job", row.id)
    return JobOut.model_validate(row)


@router.post("/claim", response_model=JobOut, responses={204: {"description": "Nothing is due"}})
def claim(body: Claim, _user_id: UserId, data: Data) -> JobOut | Response:
    """Hand the longest-due job to ``worker``; no two workers get the same one."""
    due = (
        select(Job)
        .where(Job.state == JobState.QUEUED.value, Job.run_after <= now())
        .order_by(Job.run_after, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    with data.writing() as session:
        row = session.scalar(due)
        if row is None:
            return Response(status_code=204)
        row.state = JobState.RUNNING.value
        row.worker = body.worker
        row.attempts += 1
    return JobOut.model_validate(row)


@router.post("/{job_id}/finish")
def finish(job_id: Annotated[Id, Path()], body: Outcome, user_id: UserId, data: Data) -> JobOut:
    with data.writing() as session:
        row = session.get(Job, job_id, with_for_update=True)
        if row is None:
            raise HTTPException(404, "Job not found")
        if row.state != JobState.RUNNING.value:
            raise HTTPException(409, f"Job is {row.state}, not running")
        row.state = body.state.value
        row.error = body.error
        row.finished_at = now()
        record(session, user_id, f"job.{row.state}", "job", row.id)
    return JobOut.model_validate(row)
