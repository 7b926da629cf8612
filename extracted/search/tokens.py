"""Verifying the access tokens that the monolith issues: JWT, HS256, ``sub`` is the user's id."""

import re

import jwt
from jwt.types import Options

_REQUIRED: Options = {"require": ["exp", "sub"]}
_ID = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)


class TokenError(Exception):
    """The token is malformed, expired, or not signed with the secret; the message may be shown."""


class Verifier:
    """Verifies tokens with one secret, and asks nobody."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def user_id(self, token: str) -> int:
        """Whom the token names. Raises TokenError."""
        try:
            claims = jwt.decode(token, self._secret, algorithms=["HS256"], options=_REQUIRED)
        except jwt.ExpiredSignatureError as error:
            raise TokenError("Token has expired") from error
        except jwt.InvalidTokenError as error:
            raise TokenError("Invalid token") from error
        if not _ID.fullmatch(claims["sub"]):
            raise TokenError("Invalid token")
        return int(claims["sub"])
