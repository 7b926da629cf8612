"""An upstream that is called by its own name writes it into what it answers: there it is taken out.

A redirect to itself becomes one within the client's origin, a cookie for its own domain one for the host that
the client asked. What names anything else stays.
"""

import re
from functools import lru_cache

from facade.config import Upstream

_CARRIERS = re.compile(
    rb"(?:\A|(?<=\r\n))(location|content-location|set-cookie)(:[ \t]*)([^\r]*)", re.IGNORECASE
)
_ANOTHER_HOST = re.compile(rb"/[/\\\t]")
"""What a browser would take for the beginning of another host, were it the beginning of a reference."""


def without_own_name(block: bytes, upstream: Upstream) -> bytes:
    """An answer's header lines as a client may see them."""
    origin, domain = _names(upstream.host_field, upstream.authority.encode(), upstream.host.encode())

    def rewritten(found: re.Match[bytes]) -> bytes:
        name, colon, value = found.groups()
        if name.lower() == b"set-cookie":
            return name + colon + domain.sub(b"", value)
        here = origin.match(value)
        return name + colon + (value if here is None else _reference(value[here.end() :]))

    return _CARRIERS.sub(rewritten, block)


def _reference(rest: bytes) -> bytes:
    """What is behind an origin, as a reference that stays within another (RFC 3986, 4.2)."""
    if not rest.startswith(b"/"):
        return b"/" + rest
    return b"/." + rest if _ANOTHER_HOST.match(rest) else rest


@lru_cache
def _names(host_field: bytes, authority: bytes, host: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """How an upstream's origin begins a URL, and how a cookie's attributes name its host."""
    names = b"|".join(map(re.escape, (authority, host_field)))
    return (
        re.compile(rb"https?://(?:%b)(?=[/?#]|\Z)" % names, re.IGNORECASE),
        re.compile(rb";[ \t]*domain[ \t]*=[ \t]*\.?%b[ \t]*(?=;|\Z)" % re.escape(host), re.IGNORECASE),
    )
