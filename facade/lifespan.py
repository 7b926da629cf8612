"""The ASGI side of a worker process: it starts and stops the Worker; requests never come through here."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from facade.worker import Worker

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


def application(build: Callable[[], Worker]) -> Application:
    """An ASGI application whose lifespan is a worker's. ``build`` is called once, in the worker process."""

    async def run(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        await receive()
        worker = build()
        await worker.start()
        scope["state"]["worker"] = worker
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await worker.stop()
        await send({"type": "lifespan.shutdown.complete"})

    return run
