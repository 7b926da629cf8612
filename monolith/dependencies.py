"""What routes ask for: the database, and the user that the request's token names.

They are coroutines because FastAPI would send plain functions through the thread pool.
"""

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from monolith.auth.tokens import TokenError, Tokens
from monolith.database import Database

_bearer = HTTPBearer(auto_error=False)


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _tokens(request: Request) -> Tokens:
    tokens: Tokens = request.app.state.tokens
    return tokens


async def _user_id(
    tokens: Annotated[Tokens, Depends(_tokens)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> int:
    if credentials is None:
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Bearer"})
    try:
        return tokens.verify(credentials.credentials)
    except TokenError as error:
        raise HTTPException(401, str(error), {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from error


Data = Annotated[Database, Depends(_database)]
Issuer = Annotated[Tokens, Depends(_tokens)]
UserId = Annotated[int, Depends(_user_id)]
