"""A facade as `run` serves it, on a control plane of constants: the process of test_server.

Arguments: the monolith's port, the service's port, a directory for metrics.
"""

import os
import sys
import threading

from facade.config import Backend, Certificate, FacadeConfig, Upstream
from facade.lifespan import Application, application
from facade.server import run
from facade.worker import Worker
from flags.side import Side
from tests.integration.facade.harness import Control, picture


def build() -> Application:
    """Called in each worker process."""
    monolith, service, metrics = os.environ["STATIC_FACADE"].split(",")
    config = FacadeConfig(
        Backend.of(Upstream("127.0.0.1", int(monolith))),
        {"search": Backend.of(Upstream("127.0.0.1", int(service)))},
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
    run(
        "tests.integration.facade.static_facade:build",
        sys.argv[1],
        workers=2,
        background=[background],
        on_ready=ready,
        certificate=Certificate(*shown.split(",")) if shown else None,
    )
