"""The smallest upstream that is still one: ~300 bytes of JSON for every request, and long bodies both ways.

It finds the end of each request's head and does not judge the rest: what it spends is missing on the core
that it shares with the load. ``GET /download?N`` answers N bytes; what comes with a Content-Length is read
before it is answered.
"""

import asyncio
import re
import sys
from email.utils import formatdate
from typing import cast

import uvloop

_BODY = b'{"items": [%s], "total": 5}' % b", ".join(
    b'{"id": %d, "title": "resource %d", "tags": ["a", "b"]}' % (n, n) for n in range(5)
)
_FIELDS = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\nserver: bare\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)
_END = b"\r\n\r\n"
_DOWNLOAD = re.compile(rb"GET /download\?([0-9]+) ")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_PIECE = bytes(256 * 1024)


class Bare(asyncio.Protocol):
    """One connection. ``answer`` is what all of them send, with the date of this second."""

    answer = b""

    def __init__(self) -> None:
        self._partial = b""
        self._to_read = self._to_write = 0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._to_read:
            self._read(len(data))
            return
        data = self._partial + data
        while (end := data.find(_END) + 4) >= 4:
            head, data = data[:end], data[end:]
            download = _DOWNLOAD.match(head) if head.startswith(b"GET /d") else None
            length = _LENGTH.search(head) if not head.startswith(b"GET ") else None
            if download is not None:
                self._to_write = int(download[1])
                self._transport.write(_head(self._to_write))
                self.resume_writing()
            elif length is not None and int(length[1]):
                self._to_read = int(length[1])
                self._read(len(data))
                data = b""
            else:
                self._transport.write(Bare.answer)
        self._partial = data

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while self._to_write and not self._paused:
            piece = _PIECE[: self._to_write]
            self._to_write -= len(piece)
            self._transport.write(piece)

    def _read(self, size: int) -> None:
        self._to_read -= size
        if not self._to_read:
            self._transport.write(Bare.answer)


def _head(length: int) -> bytes:
    return _FIELDS % (formatdate(usegmt=True).encode(), length)


def _tick() -> None:
    Bare.answer = _head(len(_BODY)) + _BODY
    asyncio.get_running_loop().call_later(1.0, _tick)


async def serve(port: int) -> None:
    """Serve on loopback until stopped."""
    _tick()
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
