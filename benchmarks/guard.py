"""How long a burst of errors lasts: from the first failing answer until no worker's reads go to the service.

Half of the reads are the service's when it begins to fail all of them. Nobody does anything: the guard in
`strangler serve` finds it, takes the reads back, and every worker follows.
"""

import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.rounds import Options, Samples, report
from benchmarks.troubled import trouble
from migration.demo.processes import Process, free_port
from migration.stages import Stage
from migration.takebacks import Takebacks
from migration.wiring import Wiring
from migration.workers import ControlWorkers

PHASE = "orders"
PATIENCE_SECONDS = 20.0
_READERS = 20
_PAUSE_SECONDS = 0.05

_PLAN = """
[monolith]
url = "http://127.0.0.1:{monolith}"
database = "sqlite:///monolith.db"
[facade]
listen = "127.0.0.1:{facade}"
admin = "127.0.0.1:{admin}"
workers = 2
[[phases]]
name = "orders"
routes = ["GET /orders"]
routing_key = "header:X-User"
gates = {{ min_samples = 0 }}
service = {{ url = "http://127.0.0.1:{service}" }}
"""


class Readers:
    """People who read all the time, each time another one; ``last_error`` is when one was last failed."""

    def __init__(self, port: int) -> None:
        self.last_error = 0.0
        self._port = port
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    def __enter__(self) -> "Readers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._read(number) for number in range(_READERS)))

    async def _read(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        user = 0
        while not self._leaving.is_set():
            user += 1
            writer.write(f"GET /orders HTTP/1.1\r\nHost: a\r\nX-User: {number}-{user}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            if head.startswith(b"HTTP/1.1 5"):
                self.last_error = time.perf_counter()
            await asyncio.sleep(_PAUSE_SECONDS)
        writer.close()


@contextmanager
def ramping() -> Iterator[tuple[Wiring, dict[str, int]]]:
    """A facade with two workers, in whose phase half of the reads are the service's; and its ports."""
    ports = {name: free_port() for name in ("monolith", "service", "facade", "admin")}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strangler-guard-")))
        plan = directory / "strangler.toml"
        plan.write_text(_PLAN.format(**ports))

        def start(name: str, *command: str) -> Process:
            return stack.enter_context(Process([sys.executable, "-m", *command], directory / f"{name}.log"))

        for side in ("monolith", "service"):
            start(side, "benchmarks.troubled", side, str(ports[side])).wait_for_port(ports[side])
        facade = start("facade", "migration.cli", "serve", "--plan", str(plan))
        facade.wait_for_http(f"http://127.0.0.1:{ports['admin']}/-/readyz")
        wiring = Wiring.load(plan)
        stack.callback(wiring.close)
        while wiring.control.phase(PHASE).stage is not Stage.RAMP:
            wiring.controller.advance(PHASE)
        yield wiring, ports


def bursts(count: int) -> list[float]:
    """How many milliseconds each of so many bursts lasted. Raises RuntimeError when one is not ended."""
    with ramping() as (wiring, ports), Readers(ports["facade"]) as readers:
        return [_burst(wiring, ports["service"], readers) for _ in range(count)]


def _burst(wiring: Wiring, service: int, readers: Readers) -> float:
    takebacks = Takebacks(wiring.control)
    wiring.controller.ramp(PHASE, 50)
    time.sleep(3)  # reads as they are on an ordinary day, and the guard's next look at any moment
    began = time.perf_counter()
    trouble(service, errors=1.0)
    while takebacks.open(PHASE) is None:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise RuntimeError("the guard has not found a burst of errors")
        time.sleep(0.005)
    ControlWorkers(wiring.control).wait_for_revision(
        wiring.control.revision(), time.monotonic() + PATIENCE_SECONDS
    )
    reported = time.perf_counter()
    time.sleep(0.2)  # a worker that reports it, and still asked the service, would be failed by now
    trouble(service)
    takebacks.acknowledge(PHASE, "benchmark", "")
    return (max(reported, readers.last_error) - began) * 1000


def main() -> None:
    options = Options.parse(__doc__ or "")
    samples = Samples({"burst": tuple(bursts(5 if options.quick else 20))})
    results = {"guard_ms": median(samples.of["burst"]), "guard_ms_max": max(samples.of["burst"])}
    report("From a burst of errors to no read at the service", samples, "ms", results, options)


if __name__ == "__main__":
    main()
