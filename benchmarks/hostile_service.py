"""Services that a shadow should not meet: each mode is a way to waste the time or memory of whoever asks."""

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import uvloop

from benchmarks.servers import free_port

MODES = ("hung", "refusing", "trickling", "resetting", "garbage", "flooding", "not reading")

_GARBAGE = os.urandom(4096) + b"\r\n\r\n"
_BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
_FLOOD = bytes(10 * 1024 * 1024)


class _Hung(asyncio.Protocol):
    """Reads, and answers nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data:
            self.asked()

    def asked(self) -> None:
        """Do the worst."""


class _Trickling(_Hung):
    """A byte every 50 ms."""

    def asked(self) -> None:
        self.transport.write(_BEGUN % 9000)
        self._more()

    def _more(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"x")
            asyncio.get_running_loop().call_later(0.05, self._more)


class _Resetting(_Hung):
    def asked(self) -> None:
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Garbage(_Hung):
    def asked(self) -> None:
        self.transport.write(_GARBAGE)


class _Flooding(_Hung):
    def asked(self) -> None:
        self.transport.write(_BEGUN % len(_FLOOD) + _FLOOD)


_PROTOCOLS = {
    "hung": _Hung,
    "trickling": _Trickling,
    "resetting": _Resetting,
    "garbage": _Garbage,
    "flooding": _Flooding,
}


@contextlib.contextmanager
def hostile(mode: str) -> Iterator[int]:
    """The port at which a service of this mode is not to be had."""
    port = free_port()
    if mode == "refusing":
        yield port
        return
    if mode == "not reading":
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.bind(("127.0.0.1", port))
            deaf.listen(1)
            yield port
        return
    command = [sys.executable, "-m", "benchmarks.hostile_service", mode, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it listens
        try:
            yield port
        finally:
            process.terminate()


async def _serve(mode: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_PROTOCOLS[mode], "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
