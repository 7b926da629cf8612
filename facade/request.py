"""A client's bytes taken apart: one request at a time, its head judged, its body in pieces.

llhttp judges the syntax of heads and takes bodies apart; the head itself is kept as the bytes that came.
What comes behind a request is left alone until it is asked for.
"""

from typing import Any, cast

import httptools

from facade.config import Limits
from facade.edge import Edge
from facade.headers import Fields, Refused, check_target, parse_fields, without_upgrade
from facade.trailers import Chunked

_END = b"\r\n\r\n"
_VERSIONS = frozenset({b"HTTP/1.1", b"HTTP/1.0"})


class RequestParser:
    """The parser of one client connection.

    ``method``, ``target`` and ``fields`` are of the last head. ``pieces`` are the parts of its body since
    they were last cleared; ``done`` says that the body is whole.
    """

    __slots__ = (
        "_chunked",
        "_chunked_llhttp",
        "_limits",
        "_llhttp",
        "_plain",
        "_remaining",
        "_tail",
        "done",
        "edge",
        "fields",
        "method",
        "on_body",
        "pieces",
        "target",
    )

    def __init__(self, edge: Edge, limits: Limits) -> None:
        self.pieces: list[bytes] = []
        self.on_body = self.pieces.append
        self.done = True
        self.edge = edge
        self._limits = limits
        self.method = self.target = b""
        self.fields: Fields = cast("Fields", None)
        self._remaining = 0
        self._tail = b""
        self._chunked = Chunked(self)
        self._plain: Any = httptools.HttpRequestParser(self)  # httptools has no types
        self._chunked_llhttp: Any = None
        self._llhttp: Any = self._plain

    def on_message_begin(self) -> None:
        """Called by llhttp."""

    def on_message_complete(self) -> None:
        """Called by llhttp."""
        self.done = True

    @property
    def trailers(self) -> bytes:
        """The lines behind the present body, as far as they are passed on."""
        return self._chunked.lines

    def close(self) -> None:
        """Let go of llhttp, which holds on to this object."""
        self._llhttp = self._plain = self._chunked_llhttp = self._chunked = cast("Any", None)

    def head(self, data: bytes) -> int:
        """Read the head at the beginning of ``data``. Returns its size in bytes, with its empty line, or 0
        as long as it is not whole. Raises Refused."""
        most = self._limits.head
        size = data.find(_END) + 4
        if size < 4 or size > most:
            if len(data) > most:
                raise Refused(431, f"the head is longer than {most} bytes")
            if b"\n" in data.replace(b"\r\n", b""):
                raise Refused(400, "a line ends without CRLF")
            return 0
        raw = data if size == len(data) else data[:size]
        line_end = raw.find(b"\r\n")
        self.method, target, version = _request_line(raw[:line_end])
        fields = self._read_fields(raw[line_end + 2 : -2], http10=version == b"HTTP/1.0")
        if not target.startswith(b"/") or b"#" in target:
            check_target(self.method, target, fields)
        if fields.length > self._limits.body:
            raise Refused(413, f"the body is longer than {self._limits.body} bytes")
        self._judge(raw, fields)
        self._remaining = -1 if fields.chunked else fields.length
        self._tail = b""
        self.target = target
        return size

    def body(self, data: bytes) -> bytes:
        """Take the present body's part of ``data`` and return the rest. Raises Refused."""
        try:
            if self._remaining >= 0:
                piece = data[: self._remaining]
                self._remaining -= len(piece)
                self._llhttp.feed_data(piece)
                return data[len(piece) :]
            # A chunked body ends with an empty line, so no end is missed by stopping behind each of them.
            at = 0
            while at < len(data) and not self.done:
                stop = self._behind_empty_line(data, at)
                self._llhttp.feed_data(data[at:stop])
                at = stop
        except httptools.HttpParserError as error:
            raise Refused(400, "the body is malformed") from error
        self._tail = (self._tail + data[-3:])[-3:]
        return data[at:]

    def _read_fields(self, block: bytes, *, http10: bool) -> Fields:
        """The checked fields. A client mostly repeats those of its request before: they are kept."""
        fields = self.fields
        if fields is None or fields.block != block or fields.http10 != http10:
            fields = parse_fields(block, edge=self.edge, http10=http10, most=self._limits.fields)
            self.fields = fields
        return fields

    def _judge(self, raw: bytes, fields: Fields) -> None:
        self.done = False
        self._llhttp = self._plain
        if fields.chunked:
            self._llhttp = self._chunked_llhttp or self._renewed(chunked=True)
        try:
            try:
                self._llhttp.feed_data(raw)
            except httptools.HttpParserUpgrade:
                self._llhttp = self._renewed(chunked=fields.chunked)
                self.done = fields.upgrade is not None
                if not self.done:  # it is not offered on: what follows is an ordinary body
                    self._llhttp.feed_data(without_upgrade(raw))
        except httptools.HttpParserInvalidMethodError as error:
            raise Refused(501, "the method is unknown") from error
        except httptools.HttpParserError as error:
            raise Refused(400, f"it is malformed ({error})") from error

    def _renewed(self, *, chunked: bool) -> Any:
        if chunked:
            self._chunked_llhttp = httptools.HttpRequestParser(self._chunked)
            return self._chunked_llhttp
        self._plain = httptools.HttpRequestParser(self)
        return self._plain

    def _behind_empty_line(self, data: bytes, at: int) -> int:
        """Where the next empty line behind ``at`` ends, which may have begun in earlier data."""
        if at == 0 and self._tail:
            found = (self._tail + data[:3]).find(_END)
            if found >= 0:
                return found + 4 - len(self._tail)
        found = data.find(_END, max(at - 3, 0))
        return found + 4 if found >= 0 else len(data)


def _request_line(line: bytes) -> list[bytes]:
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] not in _VERSIONS:
        newer = len(parts) == 3 and parts[2].startswith(b"HTTP/")
        raise Refused(505 if newer else 400, "it is not HTTP/1.1")
    if parts[0] == b"CONNECT":
        raise Refused(501, "CONNECT is not taken")
    return parts
