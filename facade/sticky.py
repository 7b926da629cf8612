"""What makes a split sticky for a client without a routing key: the facade's own cookie."""

from secrets import token_urlsafe

from facade.headers import Fields
from facade.routing_key import cookie

COOKIE = "strangler-key"
_ATTRIBUTES = "Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"


def sticky_key(fields: Fields) -> tuple[str, bytes]:
    """The client's key, and the header line that gives it one if it has none yet."""
    known = cookie(fields, COOKIE)
    if known is not None:
        return known, b""
    fresh = token_urlsafe(16)
    return fresh, f"Set-Cookie: {COOKIE}={fresh}; {_ATTRIBUTES}\r\n".encode()
