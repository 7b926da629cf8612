"""Our facade as it is measured: sticky flags, request ids, metrics and access log on."""

import os
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.tutorial_proxy import BACKEND
from facade.config import Backend, FacadeConfig, Upstream
from facade.lifespan import Application, application
from facade.routes import Route, RouteTable
from facade.routing_key import RoutingKey
from facade.server import run
from facade.snapshot import PhaseTraffic, Snapshot
from facade.worker import Worker
from flags.rollout import Rollout
from flags.rule import ON, Rule
from flags.side import Side
from flags.snapshot import FlagSnapshot

_SHADOW = "STRANGLER_BENCHMARK_SHADOW"
_SERVICE = "STRANGLER_BENCHMARK_SERVICE"


class _Constant:
    """A control plane that never changes and listens to nobody."""

    def __init__(self, *, shadow: bool, split: bool) -> None:
        routes = [
            Route("*", f"/api/domain{domain}/{kind}{tail}", f"phase{domain}")
            for domain in range(10)
            for kind in ("items", "orders", "notes")
            for tail in ("", "/{id}")
        ]
        reads = None if split else Side.MONOLITH
        phases = {
            name: PhaseTraffic(name, "ramp", 1, Side.MONOLITH, reads, shadow=shadow, fallback=True)
            for name in _PHASES
        }
        rules = {f"{name}.reads": Rule(5000, (Rollout(f"{name}.reads:".encode(), 50, 0),)) for name in phases}
        rules |= {f"{name}.shadow": ON for name in phases}
        self._snapshot = Snapshot(1, RouteTable.compile(routes), phases, FlagSnapshot(1, rules))

    def revision(self) -> int:
        return 1

    def load(self) -> Snapshot:
        return self._snapshot

    def report(self, status: object) -> None: ...

    def retire(self, worker: str) -> None: ...

    def record(self, worker: str, counts: object, samples: object) -> None: ...


_PHASES = [f"phase{domain}" for domain in range(10)]


def build() -> Application:
    """The worker's application; uvicorn calls it in the worker process."""

    def worker() -> Worker:
        backend = Backend.of(Upstream("127.0.0.1", int(os.environ[BACKEND])))
        port = int(os.environ.get(_SERVICE, os.environ[BACKEND]))
        config = FacadeConfig(
            backend,
            dict.fromkeys(_PHASES, Backend.of(Upstream("127.0.0.1", port))),
            dict.fromkeys(_PHASES, RoutingKey.parse("jwt:sub")),
            metrics=tempfile.mkdtemp(prefix="strangler-benchmark-"),
            access_log=True,
        )
        shadow = _SHADOW in os.environ
        constant = _Constant(shadow=shadow, split=not shadow and _SERVICE not in os.environ)
        return Worker(config, constant, constant, constant)

    return application(worker)


def command(port: int, *, workers: int = 1) -> list[str]:
    return [sys.executable, "-m", "benchmarks.ours", str(port), str(workers)]


def environment(backend: int, *, shadow: bool = False, service: int | None = None) -> Mapping[str, str]:
    """With neither a sticky flag splits the reads of one backend; else the monolith answers all of them. With
    ``shadow`` each is asked of the service too, at the backend or where ``service`` says, and compared."""
    given = {BACKEND: str(backend)} | ({_SHADOW: "1"} if shadow else {})
    return {**os.environ, **given} | ({} if service is None else {_SERVICE: str(service)})


if __name__ == "__main__":
    run("benchmarks.ours:build", f"127.0.0.1:{sys.argv[1]}", workers=int(sys.argv[2]))
