"""The one place where a plan becomes objects. Nothing connects before it is asked for."""

import os
import secrets
import socket
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from dual_write.database import open_engine
from dual_write.replication import Replication
from dual_write.resolve import TableSpec, resolve
from facade.config import FacadeConfig, ShadowRules, Timeouts, Upstream
from facade.routes import Route, RouteTable
from facade.routing_key import RoutingKey
from flags.store import EmbeddedStore
from migration.control import Control
from migration.plan import Phase, Plan
from migration.plan_sections import Table
from migration.transitions import Controller


class Wiring:
    """Everything that one process needs for one plan. Close it to let go of connections."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @classmethod
    def load(cls, file: Path) -> "Wiring":
        """Read the plan. Raises PlanError."""
        return cls(Plan.load(file))

    @cached_property
    def control(self) -> Control:
        """The control database, created and brought up to date when needed."""
        return Control.open(self.plan.control.database_url)

    @cached_property
    def flags(self) -> EmbeddedStore:
        return EmbeddedStore(self.control.engine, self.plan.flags.precision)

    @cached_property
    def controller(self) -> Controller:
        return Controller(self.plan, self.control, self.replication)

    def replication(self, phase: str) -> Replication:
        """A new connection to the phase's two databases. Raises DataError when the tables do not fit."""
        section = self.plan.phase(phase)
        monolith_url, service_url = self.databases(section)
        monolith, service = open_engine(monolith_url), open_engine(service_url)
        try:
            mappings = resolve(table_specs(section.tables), monolith, service)
        finally:
            monolith.dispose()
            service.dispose()
        return Replication(phase, monolith_url, service_url, mappings)

    def databases(self, phase: Phase) -> tuple[str, str]:
        """The monolith's and the service's database, with passwords. The phase must have tables."""
        service = phase.service.database_url
        assert service is not None  # noqa: S101 - the plan refuses tables without a database
        return self.plan.monolith.database_url, service

    @property
    def state_directory(self) -> Path:
        """Where this host keeps its own files of the migration."""
        directory = self.plan.directory / ".strangler"
        directory.mkdir(mode=0o700, exist_ok=True)
        return directory

    def admin_token(self) -> str:
        """The bearer token of the admin port: the configured one, else one made once and kept for the owner."""
        configured = self.plan.facade.admin_token
        if configured is not None:
            return configured.get_secret_value()
        file = self.state_directory / "admin-token"
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_text().strip()
        with os.fdopen(descriptor, "w") as output:
            token = secrets.token_urlsafe(32)
            output.write(token + "\n")
        return token

    def close(self) -> None:
        if "control" in self.__dict__:
            self.control.close()


def facade_config(plan: Plan, metrics: Path | None = None, *, access_log: bool = False) -> FacadeConfig:
    """What every worker of the facade is set up with."""
    limits = plan.facade.timeouts
    return FacadeConfig(
        monolith=Upstream.parse(plan.monolith.url),
        services={phase.name: Upstream.parse(phase.service.url) for phase in plan.phases},
        routing_keys={
            phase.name: RoutingKey.parse(phase.routing_key) for phase in plan.phases if phase.routing_key is not None
        },
        shadow={
            phase.name: ShadowRules(phase.shadow.rules(), phase.shadow.timeout) for phase in plan.phases
        },
        timeouts=Timeouts(
            connect=limits.connect, first_byte=limits.first_byte, total=limits.total, hold=limits.hold
        ),
        trusted_proxies=plan.facade.trusted_proxies,
        access_log=access_log,
        metrics=None if metrics is None else str(metrics),
    )


def route_table(plan: Plan) -> RouteTable:
    """The compiled routes of every phase."""
    return RouteTable.compile(
        [
            Route(route.method, route.path, phase.name, route.kind, route.retired, route.name)
            for phase in plan.phases
            for route in phase.routes
        ]
    )


def table_specs(tables: Sequence[Table]) -> list[TableSpec]:
    """The plan's tables as the data package takes them."""
    return [table.spec() for table in tables]


def this_process() -> str:
    """Names this process in leases, the audit log and the list of workers."""
    return f"{socket.gethostname()}:{os.getpid()}"
