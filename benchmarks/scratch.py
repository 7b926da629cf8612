"""A migration to measure: two small applications, a plan of one phase, and the toolkit's own processes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.orders import Orders
from migration.demo.processes import Process, free_port
from migration.stages import Stage
from migration.wiring import Wiring

PHASE = "orders"
WORKERS = 2
_STRANGLER = (sys.executable, "-m", "migration.cli")

_PLAN = """
[monolith]
url = "http://127.0.0.1:{monolith}"
database = "{databases.monolith}"
[control]
database = "{databases.control}"
[facade]
listen = "127.0.0.1:{facade}"
admin = "127.0.0.1:{admin}"
workers = {workers}
[[phases]]
name = "orders"
routes = ["GET /orders", "POST /orders"]
gates = {{ min_samples = 0 }}
[phases.service]
url = "http://127.0.0.1:{service}"
database = "{databases.service}"
"""
_TABLES = """
[[phases.tables]]
monolith = "orders"
"""


@dataclass(frozen=True, slots=True)
class Databases:
    """SQLAlchemy URLs."""

    monolith: str
    service: str
    control: str

    @classmethod
    def sqlite(cls, directory: Path) -> "Databases":
        """Three files in ``directory``."""
        return cls(*(f"sqlite:///{directory / name}.db" for name in ("monolith", "service", "control")))


@dataclass(frozen=True, slots=True)
class Scratch:
    """A running migration; ``url`` is where the facade answers for the orders."""

    url: str
    directory: Path
    wiring: Wiring

    def reach(self, stage: Stage) -> None:
        """Advance to ``stage``. Raises MigrationError when a gate is closed."""
        while self.wiring.control.phase(PHASE).stage is not stage:
            self.wiring.controller.advance(PHASE)


@contextmanager
def scratch(directory: Path, databases: Databases, *, moves_data: bool, flags: str = "") -> Iterator[Scratch]:
    """The applications, the facade with two workers and, when orders move with their traffic, the relay.

    ``flags`` is what the plan says of them.
    """
    ports = {name: free_port() for name in ("monolith", "service", "facade", "admin")}
    plan = directory / "strangler.toml"
    plan.write_text(
        flags + _PLAN.format(**ports, databases=databases, workers=WORKERS) + (_TABLES if moves_data else "")
    )

    def start(name: str, command: Sequence[str]) -> Process:
        return stack.enter_context(Process(command, directory / f"{name}.log"))

    with ExitStack() as stack:
        applications: dict[str, Process] = {}
        for side in ("monolith", "service"):
            command = [sys.executable, "-m", "benchmarks.orders", side, str(ports[side])]
            if moves_data:
                command.append(_with_table(getattr(databases, side)))
            applications[side] = start(side, command)
        facade = start("facade", [*_STRANGLER, "serve", "--plan", str(plan)])
        facade.wait_for_http(f"http://127.0.0.1:{ports['admin']}/-/readyz")
        for side, application in applications.items():
            application.wait_for_port(ports[side])
        if moves_data:
            start("relay", [*_STRANGLER, "relay", "--plan", str(plan)])
        wiring = Wiring.load(plan)
        stack.callback(wiring.close)
        yield Scratch(f"http://127.0.0.1:{ports['facade']}/orders", directory, wiring)


def _with_table(database: str) -> str:
    orders = Orders(database)
    orders.create()
    orders.dispose()
    return database
