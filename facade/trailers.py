"""Fields behind a chunked body: which of them are passed on."""

from collections.abc import Callable
from typing import Protocol

_MOST = 8 * 1024
"""Bytes of one message's trailers."""
_NEVER = frozenset(
    {
        b"age",
        b"authorization",
        b"cache-control",
        b"connection",
        b"cookie",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"te",
        b"traceparent",
        b"tracestate",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"vary",
        b"via",
        b"www-authenticate",
    }
)
"""What frames, routes, authenticates or steers a message means nothing behind it (RFC 9110, 6.5.1), and an
upstream that took it for a header field could be tricked."""
_NEVER_BEGINNINGS = (
    b"content-",
    b"if-",
    b"proxy-",
    b"x-forwarded-",
    b"x-http-method",
    b"x-method-override",
    b"x-real-ip",
    b"x-request-id",
    b"x-strangler-",
)


class Listener(Protocol):
    """What llhttp tells of a message."""

    @property
    def on_body(self) -> Callable[[bytes], object]: ...

    def on_message_begin(self) -> None: ...

    def on_message_complete(self) -> None: ...


class Chunked:
    """Listens to a chunked message in place of another listener, and keeps its trailers: ``lines``, each
    with its CRLF. Only these messages need to hear of each field, which costs time."""

    __slots__ = ("_begin", "_behind_head", "_size", "lines", "on_body", "on_message_complete")

    def __init__(self, listener: Listener) -> None:
        self.on_body = listener.on_body
        self.on_message_complete = listener.on_message_complete
        self._begin = listener.on_message_begin
        self._behind_head = False
        self._size = 0
        self.lines = b""

    def on_message_begin(self) -> None:
        self._begin()
        self._behind_head = False
        self._size = 0
        self.lines = b""

    def on_headers_complete(self) -> None:
        self._behind_head = True

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if not self._behind_head:
            return
        self._size += len(name) + len(value or b"")
        if self._size > _MOST:
            raise ValueError(
                f"more than {_MOST} bytes of trailers"
            )  # to llhttp, which calls the message broken
        plain = name.lower().replace(b"_", b"-")
        if plain not in _NEVER and not plain.startswith(_NEVER_BEGINNINGS):
            self.lines += b"%b: %b\r\n" % (name, value or b"")
