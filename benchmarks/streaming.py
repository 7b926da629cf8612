"""Long bodies through a proxy, one at a time: how fast they pass, and how much memory that takes."""

import socket
import threading
from time import perf_counter

import psutil

GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
_WARM_UP = 64 * MEBIBYTE
_SAMPLE = 0.01
"""Seconds between looks at the memory."""


def download(port: int, size: int) -> float:
    """Receive ``size`` bytes; MiB a second. Raises RuntimeError when they do not come."""
    with _connected(port, f"GET /download?{size}", "") as connection:
        began = perf_counter()
        left = size + _read_head(connection, size)
        buffer = bytearray(MEBIBYTE)
        while left > 0:
            got = connection.recv_into(buffer)
            if not got:
                raise RuntimeError(f"the download ended {left} bytes early")
            left -= got
        return size / MEBIBYTE / (perf_counter() - began)


def upload(port: int, size: int) -> float:
    """Send ``size`` bytes and wait for the answer; MiB a second. Raises RuntimeError for an error."""
    with _connected(port, "PUT /upload", f"Content-Length: {size}\r\n") as connection:
        began = perf_counter()
        piece = bytes(MEBIBYTE)
        for _ in range(size // MEBIBYTE):
            connection.sendall(piece)
        _read_head(connection, 0)
        return size / MEBIBYTE / (perf_counter() - began)


class Memory:
    """What a process and its children take, watched from a thread while the block runs."""

    def __init__(self, process: int) -> None:
        parent = psutil.Process(process)
        self._processes = [parent, *parent.children(recursive=True)]
        self._before = self._most = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def growth(self) -> float:
        """MiB of resident memory at its most, beyond what it was at first."""
        return (self._most - self._before) / MEBIBYTE

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLE):
            self._most = max(self._most, self._now())

    def _now(self) -> int:
        return sum(int(each.memory_info().rss) for each in self._processes)


def growth(process: int, port: int, size: int = GIBIBYTE) -> float:
    """MiB by which a proxy's memory grows while ``size`` bytes pass down and then up, at its most. A smaller
    body of each kind goes before: what a first body needs once is not growth."""
    download(port, _WARM_UP)
    upload(port, _WARM_UP)
    with Memory(process) as memory:
        download(port, size)
        upload(port, size)
    return memory.growth


def _connected(port: int, line: str, fields: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"{line} HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n{fields}\r\n".encode())
    return connection


def _read_head(connection: socket.socket, size: int) -> int:
    """Read the head; minus how many bytes of the body came with it. Raises RuntimeError for an error."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise RuntimeError("the proxy hung up")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200") or (size and b"%d" % size not in head):
        raise RuntimeError(f"the proxy did not pass it on: {head[:200]!r}")
    return -len(body)
