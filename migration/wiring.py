"""The one place where a plan becomes objects. Nothing connects before it is asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine

from dual_write.check import Vantage
from dual_write.database import open_engine
from dual_write.replication import Replication
from dual_write.resolve import resolve
from dual_write.standing import standing
from flags.side import Side
from flags.store import EmbeddedStore
from migration.control import Control
from migration.doctor_databases import reach
from migration.plan import Phase, Plan
from migration.rechecking import Comparison, recheck
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
        return Controller(self.plan, self.control, self.replication, recheck=self.recheck)

    def replan(self, plan: Plan) -> None:
        """Go on with another plan on the same control database."""
        self.plan = plan
        for built in ("flags", "controller"):
            self.__dict__.pop(built, None)

    def replication(self, phase: str) -> Replication:
        """A new connection to the phase's two databases. Raises DataError when the tables do not fit."""
        section = self.plan.phase(phase)
        monolith_url, service_url = self._databases(section)
        with self.engines(phase, Side.SERVICE) as (monolith, service):
            mappings = resolve([table.spec() for table in section.tables], monolith, service)
        return Replication(phase, monolith_url, service_url, mappings, outbox=section.capture == "outbox")

    def standing(self, phase: str) -> Replication:
        """As `replication`, for a phase that is under way: tables that no longer fit the plan have faults.

        Raises UnreachableError.
        """
        section = self.plan.phase(phase)
        if not section.tables:
            return self.controller.replication(phase)
        monolith_url, service_url = self._databases(section)
        with self.engines(phase, Side.SERVICE) as (monolith, service):
            mappings, faults = standing([table.spec() for table in section.tables], monolith, service)
        outbox = section.capture == "outbox"
        return Replication(phase, monolith_url, service_url, mappings, outbox=outbox, faults=faults)

    @contextmanager
    def replicating(self, phase: str) -> Iterator[Replication]:
        """The phase's data, let go of at the end."""
        replication = self.controller.replication(phase)
        try:
            yield replication
        finally:
            replication.dispose()

    @contextmanager
    def carrying(self, replication: Replication) -> Iterator[Callable[[Side], int]]:
        """The step of a relay: by way of Kafka when the plan says so, else from database to database.

        Raises MigrationError when the password for Kafka cannot be read.
        """
        brokers = self.plan.brokers()
        if brokers is None:
            yield replication.step
            return
        # Kafka's library takes a fifth of a second to import, which everybody else can do without.
        from dual_write.kafka_transport import KafkaTransport  # noqa: PLC0415

        transport = KafkaTransport(replication, brokers)
        try:
            yield transport.step
        finally:
            transport.close()

    @contextmanager
    def engines(self, phase: str, to: Side) -> Iterator[tuple[Engine, Engine]]:
        """The databases that the phase's changes towards ``to`` come from and go to.

        Raises UnreachableError, also for an SQLite file that is not there: to connect would be to create it.
        """
        urls = self._databases(self.plan.phase(phase))
        source, target = (open_engine(url) for url in (urls if to is Side.SERVICE else urls[::-1]))
        try:
            for engine in (source, target):
                reach(engine)
            yield source, target
        finally:
            source.dispose()
            target.dispose()

    @contextmanager
    def vantage(self, phase: str, to: Side, *, snapshot: bool) -> Iterator[Vantage]:
        """From where a check of the changes towards ``to`` reads: the plan's replicas, where it names any."""
        urls = self.plan.monolith.replica_url, self.plan.phase(phase).service.replica_url
        source, target = (
            open_engine(url) if url else None for url in (urls if to is Side.SERVICE else urls[::-1])
        )
        try:
            yield Vantage(snapshot, source, target)
        finally:
            for engine in (source, target):
                if engine is not None:
                    engine.dispose()

    @contextmanager
    def recheck(self, phase: str, replication: Replication, to: Side) -> Iterator[Comparison]:
        """As `migration.rechecking.recheck`, for a switch of ``phase``."""
        if not replication.mappings:
            yield lambda _: ()
            return
        with self.engines(phase, to) as (source, target), recheck(replication, source, target, to) as compare:
            yield compare

    def _databases(self, phase: Phase) -> tuple[str, str]:
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

    def close(self) -> None:
        if "control" in self.__dict__:
            self.control.close()
