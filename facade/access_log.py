"""The access log: one JSON object a line. Never a query, a header's value or a body, nor what looks like a
secret in a path (invariant I9)."""

import re
import sys
from functools import lru_cache
from time import time
from typing import TYPE_CHECKING, BinaryIO

import orjson

from facade.paths import raw_path
from facade.redact import redact_target
from facade.trace import trace_begun

if TYPE_CHECKING:
    from facade.exchange import Exchange

_MOST = 100_000
"""Lines kept while the stream does not take them; later ones are dropped and counted."""
_LINE = (
    b'{"at":%.3f,"request_id":"%b","trace_id":"%b","method":"%b","path":%b,"status":%d,%b,'
    b'"first_byte_ms":%.3f,"ms":%.3f}\n'
)
"""Request and trace ids and methods were judged when they came: nothing in them needs an escape."""
_TELLING = re.compile(rb"[^/]{12,}|[@=:%]")
"""What a path has in it when it has a secret that `facade.redact` recognises."""


class AccessLog:
    """Makes lines on the event loop, writes them from the watcher thread: a slow stream delays no request,
    and neither does a thread that formats much at once while it holds the interpreter's lock."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = sys.stdout.buffer if stream is None else stream
        self._lines: list[bytes] = []
        self._dropped = 0

    def add(self, exchange: "Exchange", phase: str, route: str, seconds: float) -> None:
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return
        line = _LINE % (
            time(),
            exchange.request_id,
            exchange.fields.trace or trace_begun(exchange.parent),
            exchange.method,
            _path(raw_path(exchange.target)),
            exchange.status,
            _labels(phase, route, exchange.side, exchange.reason),
            exchange.first_byte * 1000,
            seconds * 1000,
        )
        self._lines.append(line)  # looked up when the line is there: what `write` took gets no more

    def write(self) -> None:
        """Write what was collected. Called from the watcher thread."""
        lines, self._lines = self._lines, []
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(b'{"dropped":%d}\n' % dropped)
        if lines:
            self._stream.write(b"".join(lines))
            self._stream.flush()


def _path(path: bytes) -> bytes:
    """As JSON. Few paths have a segment that could be a secret: only those are looked at closely."""
    text = path.decode("latin-1")
    return orjson.dumps(redact_target(text) if _TELLING.search(path) else text)


@lru_cache(maxsize=1024)
def _labels(phase: str, route: str, side: str, reason: str) -> bytes:
    """The members that many requests have in common."""
    return orjson.dumps({"phase": phase, "route": route, "side": side, "reason": reason})[1:-1]
