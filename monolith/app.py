"""The HTTP application: every domain's routes over one database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from monolith.audit import routes as audit
from monolith.auth import routes as auth
from monolith.auth.tokens import Tokens
from monolith.database import Database
from monolith.jobs import routes as jobs
from monolith.resources import files
from monolith.resources import routes as resources
from monolith.search import routes as search
from monolith.search import saved


def create_app(database: Database, tokens: Tokens) -> FastAPI:
    """The monolith over a migrated database, which it closes on shutdown."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.dispose()

    app = FastAPI(title="Monolith", version="10.4.0", lifespan=lifespan, redirect_slashes=False)
    app.state.database = database
    app.state.tokens = tokens
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_api_route("/health", _health, tags=["health"])
    for domain in (auth, resources, files, saved, search, jobs, audit):
        app.include_router(domain.router)
    return app


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """422 without the rejected input: it may be a password, or nothing that JSON can hold."""
    problems = cast("RequestValidationError", error).errors()
    kept = [{part: problem[part] for part in ("type", "loc", "msg")} for problem in problems]
    return JSONResponse({"detail": kept}, HTTPStatus.UNPROCESSABLE_ENTITY)
