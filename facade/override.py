"""The override: whoever has a signed token chooses which side answers a read. It never moves a write."""

from functools import lru_cache
from time import time

import jwt

from flags.side import Side

_PURPOSE = "strangler-override"


def issue(secret: str, side: Side, phase: str | None, seconds: float) -> str:
    """A token that forces the reads of ``phase`` (None: of every phase) to ``side`` for some seconds."""
    claims = {"aud": _PURPOSE, "side": side.value, "exp": int(time() + seconds)}
    return jwt.encode(claims if phase is None else {**claims, "phase": phase}, secret, algorithm="HS256")


class Overrides:
    """What tokens signed with this secret say."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._read = lru_cache(maxsize=256)(self._verified)

    def side(self, token: bytes, phase: str) -> Side | None:
        """The side that a valid token forces for this phase."""
        known = self._read(token)
        if known is None or time() >= known[2] or known[1] not in {None, phase}:
            return None
        return known[0]

    def valid(self, token: bytes) -> bool:
        known = self._read(token)
        return known is not None and time() < known[2]

    def _verified(self, token: bytes) -> tuple[Side, str | None, float] | None:
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=_PURPOSE,
                options={"require": ["exp", "aud", "side"]},
            )
            return Side(claims["side"]), claims.get("phase"), float(claims["exp"])
        except (jwt.PyJWTError, ValueError):
            return None
