"""The facade as it runs: a parent, two workers, signals; and the admin port beside it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from facade.admin import Readiness, admin_app
from facade.errors import AddressError
from facade.server import bind, bind_each
from tests.integration.facade.harness import Client, RecordingUpstream, held, ok, raw

ROOT = Path(__file__).parents[3]


@dataclass
class Running:
    monolith: RecordingUpstream
    service: RecordingUpstream
    process: asyncio.subprocess.Process
    host: str
    port: int
    metrics: Path

    async def client(self) -> Client:
        return Client(*await asyncio.open_connection(self.host, self.port))

    async def workers(self, number: int) -> set[int]:
        """The processes of the workers that have begun, dead ones included, once there are so many."""
        async with asyncio.timeout(30):
            while len(files := list(self.metrics.glob("*.json"))) < number:  # noqa: ASYNC110 (files have no event)
                await asyncio.sleep(0.05)
        return {int(file.stem.split("-")[-2]) for file in files}

    async def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            output, _ = await self.process.communicate()
        return output.decode()


@asynccontextmanager
async def run(listen: str, directory: Path, **settings: str) -> AsyncIterator[Running]:
    monolith, service = await RecordingUpstream().start(), await RecordingUpstream(ok(b"service")).start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.facade.static_facade",
        listen,
        str(monolith.port),
        str(service.port),
        str(directory),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **settings},
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        port = int(await process.stdout.readline())
    yield Running(monolith, service, process, listen.rpartition(":")[0].strip("[]"), port, directory)
    if process.returncode is None:
        process.kill()
    await process.communicate()
    await monolith.stop()
    await service.stop()


@pytest.fixture(params=["127.0.0.1:0", "[::1]:0"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with run(request.param, tmp_path) as running:
        yield running


async def test_two_workers_serve_and_drain(running: Running) -> None:
    gate = asyncio.Event()

    client = await running.client()
    async with asyncio.timeout(30):
        await client.send(b"GET /search HTTP/1.1\r\nHost: a\r\n\r\n")
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await client.reader.readexactly(7) == b"service"
        while len(list(running.metrics.glob("*.json"))) < 2:  # noqa: ASYNC110 (files have no event)
            await asyncio.sleep(0.05)
    running.monolith.answer = held(gate, ok(b"drained"))
    await client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    await running.monolith.until(lambda: len(running.monolith.requests) == 1)
    ending = asyncio.create_task(running.end())
    async with asyncio.timeout(30):
        while True:
            try:
                (await running.client()).close()
            except ConnectionError:
                break
            await asyncio.sleep(0.05)
    gate.set()
    assert (await client.receive()).body == b"drained"
    client.close()
    assert "ended" in await ending
    assert running.process.returncode == 0


async def test_workers_end_with_a_parent_that_is_killed(running: Running) -> None:
    running.process.kill()
    async with asyncio.timeout(30):
        await running.process.communicate()  # ends when no process holds the pipe any more
        with pytest.raises(ConnectionError):
            await running.client()


async def test_the_admin_port_tells_its_state_and_adds_up_all_workers(tmp_path: Path) -> None:
    for worker, number, ejected in (("one", 2, "true"), ("two", 3, "false")):
        requests = f'[["search","/search","service",2,[{number},0,0,0,0,0,0,0,0,0,0,0,0,0,0],0.5]]'
        (tmp_path / f"{worker}.json").write_text(
            f'{{"requests":{requests},"events":[["fallback","search",1]],"in_flight":{{"search":1}},'
            '"held":0,"clients":4,"revision":7,"degraded":false,"instances":'
            '[{"phase":"search","instance":"a:1","healthy":true,"ejected":false,"requests":1},'
            f'{{"phase":"search","instance":"b:2","healthy":true,"ejected":{ejected},"requests":0}}]}}'
        )
    state = Readiness(ready=True, workers=2, degraded="the control plane fails")
    app = admin_app(lambda: state, str(tmp_path), "right")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as admin:
        assert (await admin.get("/-/healthz")).json() == {"status": "alive"}
        ready = await admin.get("/-/readyz")
        assert (ready.status_code, ready.json()["degraded"]) == (200, "the control plane fails")
        for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic right"}):
            assert (await admin.get("/-/metrics", headers=wrong)).status_code == 401
        metrics = (await admin.get("/-/metrics", headers={"Authorization": "Bearer right"})).text
        health = await admin.get("/-/health/services", headers={"Authorization": "Bearer right"})
        assert health.status_code == 200
        assert health.json()["status"] == "impaired"
        assert (await admin.get("/-/health/services")).status_code == 401
        state = Readiness(ready=False, workers=0)
        assert (await admin.get("/-/readyz")).status_code == 503
    labels = '{phase="search",route="/search",side="service",status="2xx"}'
    assert f"strangler_request_duration_seconds_count{labels} 5.0" in metrics
    assert 'strangler_facade_events_total{event="fallback",phase="search"} 2.0' in metrics
    assert 'strangler_writes_in_flight{phase="search"} 2.0' in metrics
    assert "strangler_revision_oldest 7.0" in metrics
    assert 'strangler_instance_up{instance="b:2",phase="search"} 1.0' in metrics
    assert health.json()["sides"]["search"]["instances"] == [
        {"instance": "a:1", "workers": 2, "unhealthy": 0, "ejected": 0, "requests": 2},
        {"instance": "b:2", "workers": 2, "unhealthy": 0, "ejected": 1, "requests": 0},
    ]


async def test_connections_are_dealt_out_to_both_workers(running: Running) -> None:
    clients = [await running.client() for _ in range(80)]
    async with asyncio.timeout(30):
        for client in clients:
            await client.send(b"GET /search HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.receive()
        # Of 80 fair coins fewer than 10 show one side in 4 of 10^13 times.
        while min(_connected(running), default=0) < 10 or sum(_connected(running)) < 80:  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.05)
    for client in clients:
        client.close()


async def test_who_connects_to_a_worker_that_died_is_served_by_its_successor(running: Running) -> None:
    first = min(await running.workers(2))
    os.kill(first, signal.SIGKILL)
    clients = [await running.client() for _ in range(20)]
    async with asyncio.timeout(30):
        for client in clients:
            await client.send(b"GET /search HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.receive()).status == 200
            client.close()


async def test_a_worker_that_died_is_replaced_and_a_signal_obeyed_without_a_look_for_either(
    tmp_path: Path,
) -> None:
    async with run("127.0.0.1:0", tmp_path, STATIC_LOOK="86400") as running:
        before = await running.workers(2)
        os.kill(min(before), signal.SIGKILL)
        await running.workers(3)
        assert "ended" in await running.end()


async def test_the_admin_port_tells_how_the_services_are_as_all_workers_see_them(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(admin_app(lambda: Readiness(True, 2), str(tmp_path), "right"))
    asking = httpx.AsyncClient(transport=transport, base_url="http://admin")
    asking.headers["Authorization"] = "Bearer right"

    async with run("127.0.0.1:0", tmp_path, STATIC_HEALTH="/healthz") as running, asking as admin:

        async def told(code: int, **states: str) -> dict[str, Any]:
            """The sides, once both workers say so of them."""
            async with asyncio.timeout(30):
                while True:
                    answer = await admin.get("/-/health/services")
                    sides = answer.json()["sides"]
                    if {name: side["status"] for name, side in sides.items()} == states and all(
                        each["workers"] == 2 for side in sides.values() for each in side["instances"]
                    ):
                        assert answer.status_code == code
                        return sides
                    await asyncio.sleep(0.05)

        await told(200, monolith="up", search="up")
        running.service.answer = raw(b"HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n")
        sides = await told(503, monolith="up", search="down")
        (instance,) = sides["search"]["instances"]
        assert (instance["unhealthy"], instance["ejected"]) == (2, 0)
        running.service.answer = ok(b"service")
        await told(200, monolith="up", search="up")
        await running.end()


def _connected(running: Running) -> list[int]:
    """How many clients each worker has, by what it left of itself."""
    return [json.loads(file.read_text())["clients"] for file in running.metrics.glob("*.json")]


def test_a_second_facade_at_the_same_address_is_refused() -> None:
    serving = bind_each("127.0.0.1:0", 2)
    port = serving[0].getsockname()[1]
    assert {each.getsockname()[1] for each in serving} == {port}
    with pytest.raises(AddressError, match=f"127.0.0.1:{port}.*choose another"):
        bind_each(f"127.0.0.1:{port}", 2)
    for each in serving:
        each.close()


def test_an_address_in_use_is_named_with_what_to_do() -> None:
    with bind("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=f"127.0.0.1:{port}.*choose another"):
            bind(f"127.0.0.1:{port}")
