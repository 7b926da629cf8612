"""Answers: the head of an upstream's response on its way to the client, and the facade's own."""

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from facade.edge import PSEUDONYM
from facade.headers import HOP_BY_HOP

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_VIA = b"Via: 1.1 " + PSEUDONYM + b"\r\n"

_NOTABLE = re.compile(
    rb"\r\n(?i:(connection|keep-alive|proxy-authenticate|proxy-authorization|proxy-connection|te|trailer"
    rb"|transfer-encoding|upgrade|content-length|x-request-id|via)):[ \t]*([^\r]*)"
)
_LONGEST_REMEMBERED = 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-5][0-9][0-9](?: [\t -~\x80-\xff]*)?")


class Malformed(Exception):  # noqa: N818 (it becomes a 502 for the client, not a fault of the facade)
    """An upstream's answer that must not be passed on."""


@dataclass(slots=True)  # not frozen, since that would double what making one takes
class Head:
    """The head of a response. ``status_line`` and ``block`` (header lines) are ready to be passed on, each
    with its CRLF; ``length`` is -1 without a Content-Length; ``named`` says that it has a request id."""

    status: int
    status_line: bytes
    block: bytes
    length: int
    chunked: bool
    keep_alive: bool
    named: bool
    raw: bytes

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The header fields as they came."""
        lines = self.raw[:-4].split(b"\r\n")[1:]
        return [(name, value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]

    @property
    def streams_events(self) -> bool:
        """Whether the body is an event stream, which goes on for as long as anyone listens."""
        return any(
            name.lower() == b"content-type" and value.lower().startswith(b"text/event-stream")
            for name, value in self.pairs()
        )


def parse_head(raw: bytes) -> Head:
    """Read the head of a response, up to and with its empty line. Raises Malformed."""
    return _remembered(raw) if len(raw) <= _LONGEST_REMEMBERED else _parse(raw)


def _parse(raw: bytes) -> Head:
    end = raw.find(b"\r\n")
    status, status_line = _status(raw[:end])
    length, chunked, named, plain = -1, False, False, True
    nominated: set[bytes] = set()
    for found, value in _NOTABLE.findall(raw):
        name = found.lower()
        if name == b"content-length":
            if length != -1 or not value.strip().isdigit():
                raise Malformed("the Content-Length is not one number")
            length = int(value)
        elif name == b"x-request-id":
            named = True
        elif name != b"via":
            plain = False
            if name == b"transfer-encoding":
                if chunked or value.strip().lower() != b"chunked":
                    raise Malformed("the only transfer coding taken is chunked")
                chunked = True
            elif name == b"connection":
                nominated.update(token.strip(b" \t").lower() for token in value.split(b","))
    if chunked and (length != -1 or raw[7] == 0x30):
        raise Malformed("the length of the body is ambiguous")
    if (chunked or length > 0) and (status < 200 or status == 204):
        raise Malformed("it has a body that it cannot have")
    keep_alive = b"close" not in nominated and (raw[7] == 0x31 or b"keep-alive" in nominated)
    block = raw[end + 2 : -2] if plain else _without_hops(raw[end + 2 : -4], nominated - {b"content-length"})
    return Head(
        status,
        status_line,
        block,
        length,
        chunked,
        keep_alive,
        named,
        raw,
    )


_remembered = lru_cache(maxsize=1024)(_parse)
"""Under load an upstream answers many requests of one second with the same head."""


@lru_cache(maxsize=256)
def _status(line: bytes) -> tuple[int, bytes]:
    """A status, and its line as the client gets it. There are few different ones. Raises Malformed."""
    if _STATUS_LINE.fullmatch(line) is None:
        raise Malformed("the status line is not HTTP/1.1")
    return int(line[9:12]), b"HTTP/1.1 " + line[9:] + b"\r\n"


def compose(head: Head, lines: bytes, *, chunked: bool, close: bool) -> bytes:
    """The head of an upstream's answer as the client gets it, with further ``lines`` of the facade's."""
    framing = b"Transfer-Encoding: chunked\r\n" if chunked else b""
    return b"".join(
        (
            head.status_line,
            head.block,
            _VIA,
            lines,
            framing,
            b"Connection: close\r\n\r\n" if close else b"\r\n",
        )
    )


def agrees(head: Head, asked: bytes | None) -> bool:
    """Whether a 101 switches to a protocol that the request's Upgrade field offered."""
    offered = [] if asked is None else [token.strip(b" \t").lower() for token in asked.split(b",")]
    chosen = [value.lower() for name, value in head.pairs() if name.lower() == b"upgrade"]
    return len(chosen) == 1 and chosen[0] in offered


def switched(head: Head) -> bytes:
    """The head of a 101 as the client gets it."""
    protocol = [b"Upgrade: %b\r\n" % value for name, value in head.pairs() if name.lower() == b"upgrade"]
    return b"".join((head.status_line, head.block, b"Connection: Upgrade\r\n", *protocol, b"\r\n"))


def own(status: int, text: str, *lines: bytes, close: bool = False, bodyless: bool = False) -> bytes:
    """An answer by the facade itself: a short text, never cached. ``lines`` are further header lines."""
    kind = b"text/plain; charset=utf-8"
    return document(status, kind, f"{text}\n".encode(), *lines, close=close, bodyless=bodyless)


def document(
    status: int, kind: bytes, body: bytes, *lines: bytes, close: bool = False, bodyless: bool = False
) -> bytes:
    """An answer of the facade's making with this body of this media type; otherwise like ``own``."""
    head = [
        b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()),
        b"Content-Type: " + kind,
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        *lines,
    ]
    if close:
        head.append(b"Connection: close")
    return b"\r\n".join(head) + b"\r\n\r\n" + (b"" if bodyless else body)


def _without_hops(block: bytes, nominated: set[bytes]) -> bytes:
    kept = [
        line
        for line in block.split(b"\r\n")
        if (name := line.partition(b":")[0].lower()) not in HOP_BY_HOP and name not in nominated
    ]
    return b"".join(line + b"\r\n" for line in kept)
