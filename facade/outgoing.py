"""A request as it is written to an upstream."""

import re
from typing import TYPE_CHECKING

from facade.config import Upstream
from facade.headers import Fields

if TYPE_CHECKING:
    from facade.exchange import Exchange

_HOST = re.compile(rb"(?:\A|(?<=\r\n))host:[^\r]*\r\n", re.IGNORECASE)
_ORIGIN = re.compile(rb"\Ahttps?://[^/?]*/?", re.IGNORECASE)


def request_head(exchange: "Exchange", upstream: Upstream) -> bytes:
    """The request's line and fields, as they came but for what a gateway takes off and adds."""
    fields, target = exchange.fields, exchange.target
    lines = fields.forward if exchange.forward is None else exchange.forward
    if by_own_name(fields, upstream):
        target, lines = addressed(target, lines, upstream)
    return b"%b %b HTTP/1.1\r\n%b%bX-Request-ID: %b\r\n%b" % (
        exchange.method,
        target,
        lines,
        exchange.parent,
        exchange.request_id,
        b"Transfer-Encoding: chunked\r\n\r\n" if fields.chunked else b"\r\n",
    )


def by_own_name(fields: Fields, upstream: Upstream) -> bool:
    """Whether an upstream is called by its own name: when it wants to be, or the client gives none."""
    return upstream.own_host or (fields.http10 and fields.nameless)


def addressed(target: bytes, lines: bytes, upstream: Upstream) -> tuple[bytes, bytes]:
    """A request's target and header lines with the upstream's own name instead of the client's. An
    absolute-form target has the name too, and would win (RFC 9112, 3.2.2)."""
    named = b"Host: %b\r\n%b" % (upstream.host_field, _HOST.sub(b"", lines, count=1))
    return _ORIGIN.sub(b"/", target), named


def request_end(exchange: "Exchange") -> bytes:
    """The end of its chunked body. Trailers do not go on where the facade vouches for header fields: an
    upstream that takes trailers for header fields would believe the client instead."""
    return last_chunk(exchange.client.trailers if exchange.forward is None else b"")


def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body; ``trailers`` are lines, each with its CRLF."""
    return b"0\r\n%b\r\n" % trailers


def body_part(pieces: list[bytes], *, chunked: bool) -> bytes:
    """Pieces of its body as one chunk, or plain."""
    body = b"".join(pieces)
    return b"%x\r\n%b\r\n" % (len(body), body) if chunked and body else body
