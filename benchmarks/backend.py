"""The smallest upstream that still parses what it is asked: ~300 bytes of JSON for every request."""

import asyncio
import sys
from typing import Any, cast

import httptools
import uvloop

_BODY = b'{"items": [%s], "total": 5}' % b", ".join(
    b'{"id": %d, "title": "resource %d", "tags": ["a", "b"]}' % (n, n) for n in range(5)
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Mon, 05 Jan 2026 10:00:00 GMT\r\nserver: bare\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Bare(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser: Any = httptools.HttpRequestParser(self)  # httptools has no types

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serve on loopback until stopped."""
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
