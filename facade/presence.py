"""Whether a client is still there, when nothing is read from it."""

import asyncio
import select

_HUNG_UP = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR
"""Linux tells of a peer's end even behind unread bytes; elsewhere only of a reset connection."""


def gone(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end closed its side. Asks the kernel; never waits."""
    socket = transport.get_extra_info("socket")
    if socket is None or socket.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(socket.fileno(), _HUNG_UP)
    return bool(poll.poll(0))
