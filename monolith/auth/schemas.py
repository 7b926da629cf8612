"""What the auth routes take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from monolith.fields import JsonObject, Line, Text

Email = Annotated[
    str, StringConstraints(pattern=r"^[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+$", to_lower=True, max_length=254)
]
Password = Annotated[Text, StringConstraints(min_length=8, max_length=200)]


class Registration(BaseModel):
    email: Email
    name: Line
    password: Password
    preferences: JsonObject | None = None


class Credentials(BaseModel):
    email: Email
    password: Annotated[str, StringConstraints(max_length=200)]


class RefreshToken(BaseModel):
    refresh_token: Annotated[Text, StringConstraints(min_length=1, max_length=200)]


class TokenPair(BaseModel):
    """``expires_in`` is the access token's lifetime in seconds."""

    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - a scheme
    expires_in: int


class Profile(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: str
    name: str
    is_active: bool
    preferences: JsonObject | None
    created_at: datetime
    last_login_at: datetime | None


class SessionEntry(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    user_agent: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
