"""The HTTP application of the search service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from extracted.search import documents, saved
from extracted.search.database import Database
from extracted.search.tokens import Verifier


def create_app(database: Database, verifier: Verifier) -> FastAPI:
    """The service over a migrated database, which it closes on shutdown."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.dispose()

    app = FastAPI(title="Search", version="1.0.0", lifespan=lifespan, redirect_slashes=False)
    app.state.database = database
    app.state.verifier = verifier
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_api_route("/health", _health, tags=["health"])
    app.include_router(saved.router)
    app.include_router(documents.router)
    return app


async def _health() -> dict[str, str]:
    return {"status": "ok"}


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """422 without the rejected input, as the monolith answers."""
    problems = cast("RequestValidationError", error).errors()
    kept = [{part: problem[part] for part in ("type", "loc", "msg")} for problem in problems]
    return JSONResponse({"detail": kept}, HTTPStatus.UNPROCESSABLE_ENTITY)
