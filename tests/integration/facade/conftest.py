"""A facade in this process, on the event loop that its workers use."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from uvicorn.server import ServerState

from facade.config import FacadeConfig, Timeouts
from facade.protocol import FacadeProtocol
from facade.worker import Worker
from tests.integration.facade.harness import Control, Facade, RecordingUpstream, Starting, picture


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The workers' own event loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def start() -> AsyncIterator[Starting]:
    """Start a facade with this configuration, serving this picture first."""
    async with AsyncExitStack() as stack:

        async def starting(
            how: dict[str, Any] | None = None, *, failing: Exception | None = None, **configuration: Any
        ) -> Facade:
            monolith, service = await RecordingUpstream().start(), await RecordingUpstream().start()
            stack.push_async_callback(monolith.stop)
            stack.push_async_callback(service.stop)
            configuration.setdefault("timeouts", Timeouts(connect=1.0, first_byte=1.0, hold=0.3))
            config = FacadeConfig(monolith.upstream, {"search": service.upstream}, **configuration)
            control = Control(picture(1, **(how or {})), failing=failing)
            worker = Worker(config, control, control, control)
            await worker.start()
            stack.push_async_callback(worker.stop)
            state = ServerState()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: FacadeProtocol(None, state, {"worker": worker}),  # type: ignore[arg-type]  # unused here
                "127.0.0.1",
                0,
            )
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            return Facade(monolith, service, control, worker, state, port, stack)

        yield starting


@pytest.fixture
async def facade(start: Starting) -> Facade:
    return await start()
