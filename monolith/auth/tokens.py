"""Access tokens: JWT signed with HS256, whose ``sub`` is the user's id."""

import re
from datetime import UTC, datetime, timedelta

import jwt
from jwt.types import Options

LIFETIME = timedelta(hours=1)

_REQUIRED: Options = {"require": ["exp", "sub"]}
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


class TokenError(Exception):
    """The token is malformed, expired, or not signed with our secret; the message may be shown."""


class Tokens:
    """Issues and verifies tokens with one secret. Verification asks no database."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, user_id: int, at: datetime, lifetime: timedelta = LIFETIME) -> str:
        """A token for ``user_id`` that expires ``lifetime`` after ``at``."""
        claims = {"sub": str(user_id), "iat": at.astimezone(UTC), "exp": at.astimezone(UTC) + lifetime}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def verify(self, token: str) -> int:
        """The user's id. Raises TokenError."""
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], options=_REQUIRED)
        except jwt.ExpiredSignatureError as error:
            raise TokenError("Token has expired") from error
        except jwt.InvalidTokenError as error:
            raise TokenError("Invalid token") from error
        if not _ID.fullmatch(claims["sub"]):
            raise TokenError("Invalid token")
        return int(claims["sub"])
