"""A facade in this process, on the event loop that its workers use."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from uvicorn.server import ServerState

from facade import worker
from facade.config import Backend, FacadeConfig, HealthCheck, Timeouts
from facade.protocol import FacadeProtocol
from facade.worker import Worker
from tests.integration.facade.harness import Control, Facade, RecordingUpstream, Starting, picture


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The workers' own event loop."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def quick_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers hand their books over at once, so that nobody waits for them here."""
    monkeypatch.setattr(worker, "HEARTBEAT", 0.05)


@pytest.fixture
async def start() -> AsyncIterator[Starting]:
    """Start a facade so configured, serving this picture first; ``more`` instances of the service."""
    async with AsyncExitStack() as stack:

        async def starting(
            how: dict[str, Any] | None = None,
            *,
            failing: Exception | None = None,
            concurrency: int | None = None,
            health: HealthCheck | None = None,
            more: Sequence[RecordingUpstream] = (),
            monolith: RecordingUpstream | None = None,
            host: str = "127.0.0.1",
            tls: ssl.SSLContext | None = None,
            **configuration: Any,
        ) -> Facade:
            monolith = await (monolith or RecordingUpstream()).start()
            service = await RecordingUpstream().start()
            stack.push_async_callback(monolith.stop)
            stack.push_async_callback(service.stop)
            # Nothing is late by itself, however busy the machine is; see `Facade.late`.
            patient = Timeouts(connect=30.0, first_byte=30.0, hold=30.0, upstream_idle=60.0)
            configuration.setdefault("timeouts", patient)
            config = FacadeConfig(
                Backend.of(monolith.upstream),
                {
                    "search": Backend(
                        (service.upstream, *(each.upstream for each in more)), concurrency, health
                    )
                },
                **configuration,
            )
            control = Control(picture(1, **(how or {})), failing=failing)
            worker = Worker(config, control, control, control, control, control)
            await worker.start()
            stack.push_async_callback(worker.stop)
            state = ServerState()
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: FacadeProtocol(None, state, {"worker": worker}),  # type: ignore[arg-type]  # unused here
                host,
                0,
                ssl=tls,
            )
            stack.callback(server.close)
            port = server.sockets[0].getsockname()[1]
            return Facade(monolith, service, control, worker, state, port, stack)

        yield starting


@pytest.fixture
async def facade(start: Starting) -> Facade:
    return await start()
