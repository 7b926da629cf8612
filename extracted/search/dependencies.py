"""What routes ask for: the database, and the user that the request's token names.

They are coroutines because FastAPI would send plain functions through the thread pool.
"""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from extracted.search.database import Database
from extracted.search.tokens import TokenError, Verifier

_bearer = HTTPBearer(auto_error=False)


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _verifier(request: Request) -> Verifier:
    verifier: Verifier = request.app.state.verifier
    return verifier


async def _user_id(
    verifier: Annotated[Verifier, Depends(_verifier)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> int:
    if credentials is None:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    try:
        return verifier.user_id(credentials.credentials)
    except TokenError as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from error


Data = Annotated[Database, Depends(_database)]
UserId = Annotated[int, Depends(_user_id)]
