"""What the engine-neutral modules ask of a database engine; ``sqlite`` and ``postgresql`` implement it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from dual_write.mapping import TableFlow
from dual_write.rows import Copier, Reader, Session, TypeName, Writer

KEPT = 1000
"""How many of a stream's newest entries stay in the log for ``Adapter.latest``, passed or not."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a change log has been read.

    Entries up to (``xid``, ``id``) in the log's reading order have been passed, and, after a drain, all
    entries up to ``floor`` in the order of their ids. SQLite has no transaction ids: ``xid`` stays 0.
    """

    xid: int = 0
    id: int = 0
    floor: int = 0


class Change(NamedTuple):
    """One entry of a change log: this key of this table is no longer what it was.

    ``key`` is the source's key text (see ``keys``), or None when the whole table was truncated.
    """

    xid: int
    id: int
    table: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Captured:
    """A table whose changes are logged: the stream they belong to, and the columns that identify a row.

    ``outbox`` says that the application logs them itself, so that no trigger has to.
    """

    stream: str
    table: str
    key: tuple[str, ...]
    outbox: bool = False


@dataclass(frozen=True, slots=True)
class Ownership:
    """What a guard tells a stray writer."""

    owner: str
    epoch: int

    def refusal(self, table: str) -> str:
        owned = f'table "{table}" is owned by {self.owner} (epoch {self.epoch})'
        return f"strangler: {owned}; write through the facade"


class Adapter(ABC):
    """One database, spoken to in its engine's own way.

    Every transaction may raise UnreachableError, and LockedError when a lock was not had in time.
    """

    engine: str
    row_lock: str
    """What a SELECT ends with to lock its row until the transaction ends."""

    # --- transactions

    @abstractmethod
    def reading(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """With ``snapshot`` every statement sees the same state."""

    @abstractmethod
    def writing(self, lock_timeout: float = 5.0) -> AbstractContextManager[Session]: ...

    @abstractmethod
    def dispose(self) -> None: ...

    @abstractmethod
    def is_row_fault(self, error: Exception) -> bool:
        """Whether the row is at fault (a constraint, a value) rather than the database or the schema."""

    # --- bookkeeping

    @abstractmethod
    def name(self, table: str) -> str:
        """The SQL name of a bookkeeping table."""

    @abstractmethod
    def create_bookkeeping(self) -> None: ...

    @abstractmethod
    def drop_bookkeeping(self, session: Session) -> None: ...

    @abstractmethod
    def has_bookkeeping(self, session: Session) -> bool: ...

    # --- capture and guard

    @abstractmethod
    def capture(self, tables: Sequence[Captured], lock_timeout: float) -> None: ...

    @abstractmethod
    def release(self, tables: Sequence[Captured], lock_timeout: float) -> None:
        """Remove capture and guard from the tables."""

    @abstractmethod
    def guard(self, tables: Sequence[Captured], ownership: Ownership, lock_timeout: float) -> None: ...

    @abstractmethod
    def unguard(self, tables: Sequence[Captured], lock_timeout: float) -> None: ...

    @abstractmethod
    def guarded(self, tables: Sequence[Captured]) -> list[str]:
        """Those of the tables that carry a guard."""

    def refused(self, tables: Sequence[Captured]) -> int | None:  # noqa: ARG002 - as the others
        """How many statements the tables' guards have refused; None where that leaves no trace."""
        return None

    @abstractmethod
    def uncaptured(self, tables: Sequence[Captured]) -> list[str]:
        """Those of the tables whose capture is gone: a table made anew under an old name has no triggers."""

    # --- the change log

    @abstractmethod
    def changes(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        """The next entries that no open transaction can still get in front of, in reading order."""

    @abstractmethod
    def remaining(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        """The next visible entries by id; complete only while every table of the stream is guarded."""

    @abstractmethod
    def backlog(self, session: Session, stream: str, position: Position) -> tuple[int, float]:
        """Visible entries not yet passed, and the age in seconds of the oldest."""

    @abstractmethod
    def horizon_seconds(self, session: Session) -> float:
        """Age of the oldest transaction that holds the log's reading back."""

    def newest(self, session: Session) -> int:
        """The highest id that the log has given out."""
        [(number,)] = session.execute(f"SELECT coalesce(max(id), 0) FROM {self.name('change')}")
        return int(number)

    def writing_now(self, session: Session) -> frozenset[str]:  # noqa: ARG002 - whoever writes is waited for
        """The open transactions that may have drawn an id; empty where only one can write at a time."""
        return frozenset()

    @abstractmethod
    def latest(self, session: Session, stream: str, table: str, limit: int) -> list[str]:
        """The keys of a table's newest ``limit`` entries, newest first, each once."""

    @abstractmethod
    def purge(
        self, session: Session, stream: str, position: Position, limit: int, since: int = 0
    ) -> tuple[int, int]:
        """Delete the oldest entries that ``position`` has passed, ``limit`` at most, but none of the newest
        ``KEPT``; their number, and ``since`` for the next time: where no entry to delete can be before.
        """

    @abstractmethod
    def logged(
        self, session: Session, stream: str, position: Position, table: str, keys: Sequence[str] | None
    ) -> bool:
        """Whether an entry behind ``position`` is for one of ``keys`` (None: any), or for the whole table."""

    @abstractmethod
    def forget(self, session: Session, stream: str) -> None:
        """Delete every entry of the stream."""

    # --- versions

    @abstractmethod
    def claim(
        self, session: Session, stream: str, table: str, epoch: int, entries: Sequence[tuple[str, int, bool]]
    ) -> set[str]:
        """Store (epoch, sequence) and whether the row is deleted for each (key, sequence, deleted).

        The keys whose stored version was older or missing: only those may be written (invariant I3).
        """

    @abstractmethod
    def versioned(self, session: Session, stream: str, table: str, keys: Sequence[str]) -> set[str]:
        """Those of ``keys`` that have a version, which a backfill must leave alone."""

    # --- rows

    @abstractmethod
    def columns(self, session: Session, table: str) -> Mapping[str, TypeName]:
        """The table's own columns that can be written to. Empty when there is no such table."""

    @abstractmethod
    def shapes(self, session: Session, tables: Sequence[str]) -> dict[str, dict[str, str]]:
        """Each table's columns as ``columns``, with their types as they are declared, bounds included."""

    @abstractmethod
    def reader(self, session: Session, flow: TableFlow, wanted: Sequence[TypeName | None] | None) -> Reader:
        """``wanted``: the target's types when it runs the same engine, to which the source then casts.

        None stands for a column that is not cast.
        """

    @abstractmethod
    def writer(self, session: Session, flow: TableFlow) -> Writer: ...

    def copier(self, stream: str, flow: TableFlow, reader: Reader, writer: Writer) -> Copier | None:  # noqa: ARG002
        """For copying from ``reader`` to ``writer``, both of this engine; None when rows have to do.

        ``stream`` and the flow's lanes name the versions that win over what is copied.
        """
        return None

    @abstractmethod
    def replicating(
        self, session: Session, origin: str, tables: Sequence[str], suppress: bool
    ) -> AbstractContextManager[None]:
        """Mark what is written inside as replicated; with ``suppress`` foreign triggers sleep meanwhile."""

    @abstractmethod
    def references(self, session: Session, tables: Sequence[str]) -> dict[str, set[str]]:
        """For each of ``tables``, which others of them its foreign keys refer to."""

    # --- identity values

    @abstractmethod
    def identities(self, session: Session, table: str) -> dict[str, int]:
        """Columns that the database numbers, with the highest value given out or stored."""

    @abstractmethod
    def highest(self, session: Session, table: str, column: str) -> int:
        """The highest value given out for or stored in an integer column; 0 when there is none."""

    def given(self, session: Session, table: str, column: str) -> int:
        """The highest value that the column's numbering will not give out again."""
        return self.highest(session, table, column)  # SQLite looks at what is stored

    @abstractmethod
    def advance_identity(self, session: Session, table: str, column: str, value: int) -> None:
        """Make sure that the next value is greater than ``value``."""

    @abstractmethod
    def strides(self, session: Session, table: str) -> Mapping[str, int | None]:
        """Columns that the database may number, with the step of their own; None where it is fixed."""

    def interleave(  # noqa: B027 - for those who can change a stride
        self, session: Session, stream: str, table: str, column: str, step: int, start: int
    ) -> None:
        """Number a column whose stride is not fixed from ``start`` on in ``step``s, until ``restore``."""

    def restore(self, session: Session, stream: str) -> None:  # noqa: B027 - as above
        """Number the stream's columns in their own steps again, behind what was given out."""
