"""A forwarder on loopback that counts what it forwards: the bytes that a client and its server exchange."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa


class Wire:
    """``bytes`` in both directions, of all connections so far."""

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        return sum(self._counts)

    def forward(self, reading: socket.socket, writing: socket.socket) -> None:
        """Until either end closes."""
        count = 0
        with suppress(OSError):
            while data := reading.recv(1 << 16):
                count += len(data)
                writing.sendall(data)
        with suppress(OSError):
            writing.shutdown(socket.SHUT_WR)
        with self._lock:
            self._counts.append(count)


@contextmanager
def tapped(url: str) -> Iterator[tuple[str, Wire]]:
    """A URL by which the same server is reached through a `Wire`; it counts a connection once it ends."""
    there = sa.make_url(url)
    wire = Wire()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threads: list[threading.Thread] = []
        ends: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    onward = socket.create_connection((there.host or "127.0.0.1", there.port or 5432))
                    ends.extend((client, onward))
                    for way in ((client, onward), (onward, client)):
                        threads.append(threading.Thread(target=wire.forward, args=way))
                        threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        port = server.getsockname()[1]
        try:
            tap = there.set(host="127.0.0.1", port=port)
            yield tap.render_as_string(hide_password=False), wire
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()
            for end in ends:
                end.close()
