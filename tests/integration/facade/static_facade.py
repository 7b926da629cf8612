"""A facade as `run` serves it, on a control plane of constants: the process of test_server.

Arguments: the monolith's port, the service's port, a directory for metrics. In the environment:
``STATIC_CERTIFICATE``, the files of one; ``STATIC_HEALTH``, the path that is asked of the service;
``STATIC_LOOK``, the seconds between the parent's looks.
"""

import os
import sys
import threading

from facade import server
from facade.config import Backend, Certificate, FacadeConfig, HealthCheck, Upstream
from facade.lifespan import Application, application
from facade.worker import Worker
from flags.side import Side
from tests.integration.facade.harness import Control, picture


def build() -> Application:
    """Called in each worker process."""
    monolith, service, metrics = os.environ["STATIC_FACADE"].split(",")
    asked = os.environ.get("STATIC_HEALTH")
    health = HealthCheck(asked, interval=0.05) if asked else None
    config = FacadeConfig(
        Backend.of(Upstream("127.0.0.1", int(monolith))),
        {"search": Backend((Upstream("127.0.0.1", int(service)),), health=health)},
        metrics=metrics,
    )
    control = Control(picture(1, reads=Side.SERVICE))
    return application(lambda: Worker(config, control, control, control))


def background(ending: threading.Event) -> None:
    ending.wait()
    sys.stdout.write("ended\n")
    sys.stdout.flush()


def ready(address: tuple[str, int]) -> None:
    sys.stdout.write(f"{address[1]}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ["STATIC_FACADE"] = ",".join(sys.argv[2:])
    shown = os.environ.get("STATIC_CERTIFICATE")
    server._LOOK = float(os.environ.get("STATIC_LOOK", server._LOOK))
    server.run(
        "tests.integration.facade.static_facade:build",
        sys.argv[1],
        workers=2,
        background=[background],
        on_ready=ready,
        certificate=Certificate(*shown.split(",")) if shown else None,
    )
