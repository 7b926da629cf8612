"""A facade of two workers that tell what they hold: the process of test_chaos.

Arguments: the monolith's port, the service's port, a directory. Each worker keeps a file ``PID.watch`` there
with its tasks, upstream connections, requests and ejected sides. Reads of the phase ``search`` and its writes
are the service's; the monolith may answer its reads.
"""

import asyncio
import os
import sys
from pathlib import Path
from time import monotonic

import orjson

from facade.config import Backend, FacadeConfig, Upstream
from facade.lifespan import Application, application
from facade.server import run
from facade.worker import Worker
from flags.side import Side
from tests.integration.facade.harness import Control, picture
from tests.integration.facade.static_facade import ready


class WatchedWorker(Worker):
    """Tells what it holds, twenty times a second."""

    async def start(self) -> None:
        await super().start()
        self._watched = Path(os.environ["WATCHED_FACADE"].split(",")[2]) / f"{os.getpid()}.watch"
        self._tell()

    def _tell(self) -> None:
        loop, sides = asyncio.get_running_loop(), self.path.sides
        told = {
            "pid": os.getpid(),
            "at": monotonic(),
            "tasks": len(asyncio.all_tasks(loop)),
            "connections": sum(side.size for side in sides.values()),
            "requests": sum(side.busy for side in sides.values()),
            "active": len(self.path.active),
            "clients": len(self.path.clients),
            "repeated": sum(side.retrying for side in sides.values()),
            "in_flight": sum(self.path.in_flight.values()),
            "ejected": [name for name, side in sides.items() if side.pools[0].ejection.ejected],
            "fallbacks": self.path.counters.events["fallback", "search"],
        }
        draft = self._watched.with_suffix(".draft")
        draft.write_bytes(orjson.dumps(told))
        draft.replace(self._watched)
        loop.call_later(0.05, self._tell)


def build() -> Application:
    """Called in each worker process."""
    monolith, service, _ = os.environ["WATCHED_FACADE"].split(",")
    config = FacadeConfig(
        Backend.of(Upstream("127.0.0.1", int(monolith))),
        {"search": Backend.of(Upstream("127.0.0.1", int(service)))},
    )
    control = Control(picture(1, reads=Side.SERVICE, writer=Side.SERVICE, fallback=True))
    return application(lambda: WatchedWorker(config, control, control, control))


if __name__ == "__main__":
    os.environ["WATCHED_FACADE"] = ",".join(sys.argv[1:])
    run("tests.integration.facade.watched_facade:build", "127.0.0.1:0", workers=2, on_ready=ready)
