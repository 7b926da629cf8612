"""An application that can be troubled while it serves: ``python -m benchmarks.troubled SIDE PORT``.

A GET is answered with SIDE. ``PUT /trouble?errors=0.05&slower=30&noise=1`` lets that share of the answers be
500, makes each so many milliseconds slower, and with noise some of them much slower, from now on.
"""

import asyncio
import sys
from dataclasses import dataclass
from random import Random
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import uvloop


@dataclass
class Trouble:
    """What is wrong: a share of errors, milliseconds, and whether now and then one waits for long."""

    errors: float = 0.0
    slower: float = 0.0
    noise: float = 0.0


class Troubled:
    """One application."""

    def __init__(self, side: str) -> None:
        self._side = side.encode()
        self._trouble = Trouble()
        self._random = Random(7)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it closes."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b" ", 2)
                status = b"200 OK"
                if method == b"PUT":
                    asked = parse_qs(urlsplit(target.decode()).query)
                    self._trouble = Trouble(**{name: float(value) for name, (value,) in asked.items()})
                else:
                    await asyncio.sleep(self._pause())
                    if self._random.random() < self._trouble.errors:
                        status = b"500 Internal Server Error"
                length = len(self._side)
                writer.write(
                    b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"
                    % (status, length, self._side)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _pause(self) -> float:
        """Seconds: a few milliseconds in any case, as an application needs."""
        noise = self._random.random() < 0.05 * self._trouble.noise
        jitter = self._random.lognormvariate(1.0, 0.5)
        return (jitter * (1 + 0.2 * self._trouble.noise) + self._trouble.slower + 150 * noise) / 1000


def trouble(port: int, **what: float) -> None:
    """Trouble the application at ``port``; with nothing, no longer."""
    query = "&".join(f"{name}={value}" for name, value in what.items())
    with urlopen(Request(f"http://127.0.0.1:{port}/trouble?{query}", method="PUT"), timeout=5):
        pass


async def serve(side: str, port: int) -> None:
    """Serve on loopback until stopped."""
    server = await asyncio.start_server(Troubled(side).answer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
