"""The control database: where every phase stands, at one revision that grows with every visible change."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy import Connection, Double, Engine, Row, Table, cast, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from dual_write.database import redacted
from flags import revision
from flags.side import Side
from migration import audit
from migration.control_engine import READ_ONLY, control_engine, sqlite_file
from migration.errors import ControlError
from migration.schema import tables
from migration.schema.upgrade import upgrade
from migration.stages import PhaseRecord, Stage


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction that workers will see, and the revision at which they will."""

    connection: Connection
    revision: int


class Control:
    """The control database. Its methods block; share one object among threads as you like.

    Every method raises ControlError, or SQLAlchemy's errors, when the database does not answer.
    """

    def __init__(self, engine: Engine, label: str) -> None:
        self.engine = engine
        self.label = label
        consistent = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._reader = engine.execution_options(**{READ_ONLY: True}, **consistent)

    @classmethod
    def open(cls, url: str) -> Self:
        """Create the database when it is not there, bring it to this version's tables, and open it."""
        target = make_url(url)
        if target.get_backend_name() == "sqlite":
            file = sqlite_file(target)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
        control = cls(control_engine(target, durable=True), redacted(target))
        try:
            control.prepare(upgrade)
        except ControlError:
            control.close()
            raise
        return control

    @classmethod
    def attach(cls, url: str) -> Self:
        """Use a database that somebody else opened; it is not touched yet. What a worker does."""
        target = make_url(url)
        return cls(control_engine(target, durable=False), redacted(target))

    def prepare(self, action: Callable[[Connection, str], None]) -> None:
        """Run ``upgrade`` or ``require_current`` on the database. Raises ControlError."""
        try:
            with self.write() as connection:
                action(connection, self.label)
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).strip()
            raise ControlError(
                f"the control database {self.label} cannot be opened: {reason}. "
                "See [control] database in the plan; `strangler serve` creates an SQLite one."
            ) from error

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view, for reading."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that workers need not see: journal, leases, reports and observations."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A transaction that workers will see. Changes come one after the other, in revision order."""
        with self.engine.begin() as connection:
            yield Change(connection, revision.bump(connection))

    def now(self, connection: Connection) -> float:
        """Seconds since 1970: the database server's clock, or this host's for SQLite."""
        at = self.clock(connection)
        return at if isinstance(at, float) else float(connection.scalar(select(at)) or 0.0)

    def clock(self, connection: Connection) -> Any:
        """``now`` as a value for a statement to write or compare: it costs no question of its own."""
        if connection.dialect.name == "sqlite":
            return time.time()
        return cast(func.extract("epoch", func.clock_timestamp()), Double)

    def revision(self) -> int:
        with self.read() as connection:
            return revision.read(connection)

    def phase(self, name: str) -> PhaseRecord:
        """Where a phase stands; one that was never touched is off."""
        with self.read() as connection:
            return read_phase(connection, name)

    def phases(self) -> dict[str, PhaseRecord]:
        """Every phase that was ever touched, by name."""
        with self.read() as connection:
            return read_phases(connection)

    def amend(self, change: Change, name: str, actor: str, what: str, **values: Any) -> PhaseRecord:
        """Change fields of a phase's record, with an entry in the audit log. Returns the new record."""
        before = read_phase(change.connection, name)
        at = self.now(change.connection)
        stored: dict[str, Any] = asdict(before) | values
        if stored["stage"] is not before.stage:
            stored["stage_since"] = at
        if stored["stage"] is Stage.SHADOW and before.stage is not Stage.RAMP:
            stored["evidence_since"] = at if before.stage is not Stage.SHADOW else before.evidence_since
        upsert(change.connection, tables.phases, stored, key=("name",))
        after = read_phase(change.connection, name)
        self.audit(change.connection, actor, what, asdict(before), asdict(after))
        return after

    def audit(
        self,
        connection: Connection,
        who: str,
        what: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> None:
        """Remember who changed what; only the fields that differ are kept."""
        changed = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        audit.append(
            connection,
            self.now(connection),
            who,
            what,
            {key: before.get(key) for key in changed},
            {key: after.get(key) for key in changed},
        )


def identity(connection: Connection) -> str:
    """The id that this control database was created with."""
    return str(connection.scalars(select(tables.identity.c.id)).one())


def read_phase(connection: Connection, name: str) -> PhaseRecord:
    row = connection.execute(select(tables.phases).where(tables.phases.c.name == name)).one_or_none()
    return PhaseRecord(name) if row is None else _record(row)


def read_phases(connection: Connection) -> dict[str, PhaseRecord]:
    return {row.name: _record(row) for row in connection.execute(select(tables.phases))}


def _record(row: Row[Any]) -> PhaseRecord:
    return PhaseRecord(
        name=row.name,
        stage=Stage(row.stage),
        writer=Side(row.writer),
        epoch=row.epoch,
        hold=row.hold,
        stage_since=row.stage_since,
        evidence_since=row.evidence_since,
        split=row.split,
    )


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], key: Sequence[str]) -> None:
    """Insert a row, or replace the values of the one that has its key."""
    statement = _insert(connection, table).values(values)
    rest = {name: statement.excluded[name] for name in values if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=rest))


def add(
    connection: Connection,
    table: Table,
    key: Mapping[str, Any],
    numbers: Mapping[str, int],
    latest: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Insert a row, or add ``numbers`` to the one that has its ``key`` and set the ``latest`` values."""
    statement = _insert(connection, table).values({**key, **numbers, **latest})
    sums = {name: table.c[name] + statement.excluded[name] for name in numbers}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_={**sums, **latest}))


def insert_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless one with its key is there."""
    connection.execute(_insert(connection, table).values(values).on_conflict_do_nothing())


def _insert(connection: Connection, table: Table) -> Any:
    # Either dialect's insert; their conflict clauses are alike, but they share no type that has them.
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
