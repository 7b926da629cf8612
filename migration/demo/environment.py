"""Everything that the demo runs on: monolith, service, facade, relay and clients, on free ports."""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from flags.side import Side
from migration.demo.errors import DemoError
from migration.demo.processes import Process, free_port
from migration.demo.servers import PostgreSQLServer
from migration.wiring import Wiring

PHASE = "search"
"""The phase of the reference plan that the demo moves."""
PASSWORD = "seeded-password"  # noqa: S105 - as `python -m monolith.seed` gives it
"""Of the generated users."""
_SETTLE_SECONDS = 60.0
_START_SECONDS = 60.0
_SECRETS = {
    "MONOLITH_JWT_SECRET": "a-secret-for-the-length-of-one-demo-only",
    "SEARCH_JWT_SECRET": "a-secret-for-the-length-of-one-demo-only",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much the demo moves, and how many people use it meanwhile."""

    resources: int = 5000
    users: int = 50


@dataclass(frozen=True, slots=True)
class Databases:
    """SQLAlchemy URLs of the three databases."""

    monolith: str
    service: str
    control: str


class Environment:
    """The running servers of one demo; a ``with`` block ends them all."""

    def __init__(self, checkout: Path, directory: Path, engine: str | Databases, size: Size) -> None:
        """``checkout`` holds the reference applications; ``directory`` takes databases, plan and logs.

        ``engine`` is ``sqlite`` or ``postgresql``, or names empty databases. Raises DemoError when the
        checkout has no reference applications, and ServerUnavailableError when there is no PostgreSQL.
        """
        if not (checkout / "monolith").is_dir() or not (checkout / "deploy" / "reference.toml").is_file():
            raise DemoError(
                f"the reference monolith is not in {checkout}. The demo runs from a checkout of "
                "strangler-fig: `git clone` it and run `make demo` there."
            )
        if any(find_spec(module) is None for module in ("locust", "tomlkit")):
            raise DemoError("the demo needs its extra: `pip install 'strangler-fig[demo]'`.")
        self.directory = directory
        self.plan_file = directory / "strangler.toml"
        self.history = directory / "history.jsonl"
        self._checkout = checkout
        self._engine = engine
        self._size = size
        self._stack = ExitStack()
        self._processes: dict[str, Process] = {}
        self._starts: dict[str, Callable[[], Process]] = {}
        self.facade_port = free_port()
        self._monolith_port = free_port()
        self._service_port = free_port()
        self._admin_port = free_port()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            self.databases = self._databases()
            self._write_plan()
            self._seed()
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where clients go: the facade."""
        return f"http://127.0.0.1:{self.facade_port}"

    @property
    def admin_url(self) -> str:
        """Where the facade tells of itself."""
        return f"http://127.0.0.1:{self._admin_port}"

    def start_clients(self) -> Process:
        """Let the clients in; stop them by terminating the process."""
        self._clients = self._run(
            "clients",
            [
                *(sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("traffic.py"))),
                *("--headless", "--only-summary", "--loglevel", "WARNING", "--stop-timeout", "15"),
                *("-u", str(self._size.users), "-r", "25", "-H", self.url),
            ],
            {"STRANGLER_DEMO_HISTORY": str(self.history), "STRANGLER_DEMO_PASSWORD": PASSWORD},
        )
        return self._clients

    def wait_for_traffic(self) -> None:
        """Return when the clients have been answered a hundred times."""
        self._clients.wait_until(self._answered, 60, "did not send a hundred requests")

    def wait_for_relay(self, wiring: Wiring) -> None:
        """Return when every captured change has arrived."""
        replication = wiring.controller.replication(PHASE)
        try:
            if not replication.settle(Side.SERVICE, _SETTLE_SECONDS):
                output = self.process("relay").output()
                raise DemoError(f"the relay did not catch up in {_SETTLE_SECONDS:.0f} s:\n{output}")
        finally:
            replication.dispose()

    def _answered(self) -> bool:
        return self.history.exists() and self.history.read_bytes().count(b'"event": "request"') >= 100

    def replace(self, name: str) -> None:
        """SIGKILL a process (``monolith``, ``service``, ``facade``, ``relay``) and start another for it."""
        self._processes[name].kill()
        self._processes[name] = self._starts[name]()

    def process(self, name: str) -> Process:
        """One of the processes that run."""
        return self._processes[name]

    def _databases(self) -> Databases:
        if isinstance(self._engine, Databases):
            return self._engine
        if self._engine == "postgresql":
            server = self._stack.enter_context(PostgreSQLServer())
            return Databases(server.create_database(), server.create_database(), server.create_database())
        return Databases(
            *(f"sqlite:///{self.directory / name}.db" for name in ("monolith", "search", "control"))
        )

    def _seed(self) -> None:
        seed = self._run(
            "seed",
            [
                *(sys.executable, "-m", "monolith.seed", "--database", self.databases.monolith),
                *("--resources", str(self._size.resources), "--users", str(self._size.users)),
            ],
        )
        if seed.wait(120) != 0:
            raise DemoError(f"the monolith's data could not be made:\n{seed.output()}")

    def _start(self) -> None:
        """All at once, but for the relay: it wants the applications' tables."""
        monolith = self._application("monolith", "monolith", self._monolith_port, self.databases.monolith)
        service = self._application("service", "extracted.search", self._service_port, self.databases.service)
        facade = self._run("facade", [*_STRANGLER, "serve", "--plan", str(self.plan_file), "--workers", "2"])
        monolith.wait_for_port(self._monolith_port, _START_SECONDS)
        service.wait_for_port(self._service_port, _START_SECONDS)
        facade.wait_for_http(f"{self.admin_url}/-/readyz", _START_SECONDS)
        self._run("relay", [*_STRANGLER, "relay", "--plan", str(self.plan_file)])

    def _application(self, name: str, module: str, port: int, database: str) -> Process:
        return self._run(name, [sys.executable, "-m", module, "--port", str(port), "--database", database])

    def _write_plan(self) -> None:
        import tomlkit  # noqa: PLC0415 - of the extra `demo`, which no other command needs

        plan = tomlkit.parse((self._checkout / "deploy" / "reference.toml").read_text())
        monolith, facade, control = (
            plan.setdefault(name, tomlkit.table()) for name in ("monolith", "facade", "control")
        )
        monolith.update(url=f"http://127.0.0.1:{self._monolith_port}", database=self.databases.monolith)
        facade.update(
            listen=f"127.0.0.1:{self.facade_port}", admin=f"127.0.0.1:{self._admin_port}", workers=2
        )
        control.update(database=self.databases.control)
        for phase in plan["phases"]:
            phase["service"].update(
                url=f"http://127.0.0.1:{self._service_port}", database=self.databases.service
            )
            # A demo does not last for the days that a team would wait.
            phase.setdefault("gates", tomlkit.table()).update(min_idle_days=0)
        self.plan_file.write_text(tomlkit.dumps(plan))

    def _run(self, name: str, command: Sequence[str], environment: dict[str, str] | None = None) -> Process:
        self._starts[name] = partial(
            Process,
            command,
            self.directory / f"{name}.log",
            environment=_SECRETS | (environment or {}),
            directory=self._checkout,
        )
        self._processes[name] = self._starts[name]()
        self._stack.callback(self._end, name)
        return self._processes[name]

    def _end(self, name: str) -> None:
        self._processes[name].terminate()


_STRANGLER = (sys.executable, "-m", "migration.cli")
