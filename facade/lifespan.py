"""The ASGI side of a worker process: it starts and stops the Worker; requests never come through here."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from multiprocessing import connection, parent_process
from typing import Any

from facade.worker import Worker

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_SWITCH = 0.0005
"""Seconds after which a thread that computes lets the event loop go on. Python's own 5 ms would be what the
slowest requests wait while a snapshot is loaded or two answers are compared."""


def application(build: Callable[[], Worker]) -> Application:
    """An ASGI application whose lifespan is a worker's. ``build`` is called once, in the worker process."""

    async def run(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        worker = build()
        await worker.start()
        threading.Thread(target=_follow_parent, name="parent", daemon=True).start()
        scope["state"]["worker"] = worker
        sys.setswitchinterval(_SWITCH)
        gc.freeze()  # what is here now stays: the collector need not look at it again and again
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await worker.stop()
        await send({"type": "lifespan.shutdown.complete"})

    return run


def _follow_parent() -> None:
    """End with the parent, even one that was killed: nobody would restart or stop this worker."""
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
