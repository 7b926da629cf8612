"""The connections to one upstream: reused while they are fresh, opened on demand up to a cap."""

import asyncio
from collections import deque
from time import monotonic
from typing import cast

from facade.config import Limits, Timeouts, Upstream
from facade.ejection import Ejection
from facade.tls import client_context
from facade.upstream import Failure, Requester, UpstreamConnection


class Pool:
    """Hands connections to requesters, first come, first served. Used on one event loop.

    ``healthy`` is what the active health checks say.
    """

    def __init__(self, upstream: Upstream, timeouts: Timeouts, limits: Limits) -> None:
        self.upstream = upstream
        self.ejection = Ejection()
        self.healthy = True
        self._connect_timeout = timeouts.connect
        self._idle_timeout = timeouts.upstream_idle
        self._most = limits.connections
        self._tls = client_context(upstream.trust) if upstream.tls else None
        self._idle: list[UpstreamConnection] = []
        self._open: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Requester] = deque()

    @property
    def size(self) -> int:
        """Connections that are open or being opened."""
        return len(self._open) + len(self._connecting)

    @property
    def busy(self) -> int:
        """Requests that are being answered or wait for a connection."""
        return len(self._open) - len(self._idle) + len(self._waiting)

    def acquire(self, requester: Requester) -> None:
        """Get a connection: ``requester.connected`` is called now or later, or ``failed``."""
        oldest = monotonic() - self._idle_timeout
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since >= oldest and not connection.transport.is_closing():
                connection.begin(requester)
                return
            connection.transport.abort()
        self._waiting.append(requester)
        self._grow()

    def acquire_fresh(self, requester: Requester) -> None:
        """As ``acquire``, but never a kept connection: one of them just proved stale."""
        self.close_idle()
        self._waiting.append(requester)
        self._grow()

    def forsake(self, requester: Requester) -> None:
        """The requester no longer waits for a connection."""
        if requester in self._waiting:
            self._waiting.remove(requester)

    def release(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer is whole."""
        if self._waiting:
            connection.begin(self._waiting.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._grow()

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long."""
        while self._idle and self._idle[0].idle_since < now - self._idle_timeout:
            self._idle.pop(0).transport.close()

    def close_idle(self) -> None:
        while self._idle:
            self._idle.pop().transport.abort()

    def close(self) -> None:
        """Close everything, at the end of the worker."""
        self.close_idle()
        for task in self._connecting:
            task.cancel()
        for connection in list(self._open):
            connection.transport.abort()

    def _grow(self) -> None:
        while len(self._connecting) < len(self._waiting) and self.size < self._most:
            task = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        upstream = self.upstream
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: UpstreamConnection(self), upstream.host, upstream.port, ssl=self._tls
                )
        except (OSError, TimeoutError):
            self._connected(None)
        else:
            self._connected(connection)

    def _connected(self, connection: UpstreamConnection | None) -> None:
        self._connecting.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        if connection is not None:
            self._open.add(connection)
            connection.idle_since = monotonic()
            self.release(connection)
        elif self._waiting:
            self._waiting.popleft().failed(Failure.CONNECT)
        self._grow()
