"""The access log: one JSON object a line. Never a query, a header's value or a body (invariant I9)."""

import sys
from time import time
from typing import TYPE_CHECKING, TextIO

import orjson

from facade.paths import raw_path
from facade.trace import trace_begun

if TYPE_CHECKING:
    from facade.exchange import Exchange

_MOST = 100_000
"""Lines kept while the stream does not take them; later ones are dropped and counted."""


_Line = tuple[float, bytes, bytes, bytes, bytes, int, str, str, str, str, float, float]


class AccessLog:
    """Collects on the event loop, writes from the watcher thread: a slow stream delays no request."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._lines: list[_Line] = []
        self._dropped = 0

    def add(self, exchange: "Exchange", phase: str, route: str, seconds: float) -> None:
        if len(self._lines) >= _MOST:
            self._dropped += 1
            return
        self._lines.append(
            (
                time(),
                exchange.request_id,
                exchange.fields.trace or trace_begun(exchange.parent),
                exchange.method,
                exchange.target,
                exchange.status,
                phase,
                route,
                exchange.side,
                exchange.reason,
                exchange.first_byte,
                seconds,
            )
        )

    def write(self) -> None:
        """Write what was collected. Called from the watcher thread."""
        lines, self._lines = self._lines, []
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._stream.write(f'{{"dropped":{dropped}}}\n')
        for line in lines:
            self._stream.write(_format(line))
        if lines:
            self._stream.flush()


def _format(line: _Line) -> str:
    at, request_id, trace, method, target, status, phase, route, side, reason, first_byte, seconds = line
    document = {
        "at": round(at, 3),
        "request_id": request_id.decode("latin-1"),
        "trace_id": trace.decode(),
        "method": method.decode("latin-1"),
        "path": raw_path(target).decode("latin-1"),
        "status": status,
        "phase": phase,
        "route": route,
        "side": side,
        "reason": reason,
        "first_byte_ms": round(first_byte * 1000, 3),
        "ms": round(seconds * 1000, 3),
    }
    return orjson.dumps(document).decode() + "\n"
