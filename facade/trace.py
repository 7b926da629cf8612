"""Trace context (W3C): what a client brings is passed on, otherwise a trace begins here."""

import re
from collections.abc import Sequence
from random import getrandbits

_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[ -~]*)?"
)


def trace_of(parents: Sequence[bytes]) -> bytes | None:
    """The trace id in a request's ``traceparent``, None without exactly one valid one."""
    found = _PARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if found is None or (parents[0][:2] == b"00" and len(parents[0]) != 55):
        return None
    return found[1]


def new_parent() -> bytes:
    """The header line with which a trace begins here, sampled."""
    # That one of them is zero does not happen.
    return b"traceparent: 00-%032x-%016x-01\r\n" % (getrandbits(128), getrandbits(64))


def trace_begun(line: bytes) -> bytes:
    """The id of the trace that ``new_parent`` began."""
    return line[16:48]
