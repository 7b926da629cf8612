"""A request as it is written to an upstream."""

from typing import TYPE_CHECKING

from facade.config import Upstream

if TYPE_CHECKING:
    from facade.exchange import Exchange


def request_head(exchange: "Exchange", upstream: Upstream) -> bytes:
    """The request's line and fields, as they came but for what a gateway takes off and adds."""
    fields = exchange.fields
    host = b""
    if fields.http10 and not fields.value(b"host"):
        host = b"Host: %b\r\n" % upstream.authority.encode()
    return b"%b %b HTTP/1.1\r\n%b%b%bX-Request-ID: %b\r\n%b" % (
        exchange.method,
        exchange.target,
        fields.forward if exchange.forward is None else exchange.forward,
        host,
        exchange.parent,
        exchange.request_id,
        b"Transfer-Encoding: chunked\r\n\r\n" if fields.chunked else b"\r\n",
    )


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
