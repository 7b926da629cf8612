"""What is asked of a client's socket itself: whether it is still there, and to break off visibly."""

import asyncio
import select
import socket
import struct

_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""Linux tells of a peer's end even behind unread bytes; elsewhere only of a reset connection."""


def gone(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end closed its side. Asks the kernel; never waits."""
    own = transport.get_extra_info("socket")
    if own is None or own.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(own.fileno(), _HUNG_UP)
    return bool(poll.poll(0))


def reset_at_close(transport: asyncio.BaseTransport) -> None:
    """Let it end with a reset: to a client of HTTP/1.0 an orderly end says that its answer is whole."""
    own = transport.get_extra_info("socket")
    if own is not None and own.fileno() >= 0:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
