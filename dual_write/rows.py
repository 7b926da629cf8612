"""What the engine-neutral modules ask of an open transaction, and of the tables at its two ends."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Row = tuple[Any, ...]

AMBIGUOUS: Row = ()
"""In place of a row that several tables of a union hold under the same key."""


@dataclass(frozen=True, slots=True)
class TypeName:
    """A column's type: ``base`` in the engine's own words, lower case; ``cast`` as SQL, without a bound."""

    base: str
    cast: str = ""


class Session(ABC):
    """An open transaction. SQL uses ``?`` for values and returns rows as tuples."""

    @abstractmethod
    def execute(self, sql: str, *values: object) -> list[Row]: ...

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what is done inside when it raises; the transaction stays usable."""
        self.execute("SAVEPOINT strangler_row")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO SAVEPOINT strangler_row")
            self.execute("RELEASE SAVEPOINT strangler_row")
            raise
        self.execute("RELEASE SAVEPOINT strangler_row")


class Reader(ABC):
    """A source seen through a mapping: rows of the target's columns, in the source's raw values.

    ``types`` are those of the columns, ``key_types`` those of the key. Rows may be AMBIGUOUS.
    """

    types: Sequence[TypeName]
    key_types: Sequence[TypeName]

    @abstractmethod
    def rows(self, session: Session, keys: Sequence[str]) -> dict[str, Row]:
        """The current rows of those of ``keys`` that exist."""

    @abstractmethod
    def chunk(self, session: Session, after: str | None, limit: int) -> list[tuple[str, Row]]:
        """Up to ``limit`` rows in key order behind ``after``."""

    @abstractmethod
    def keys(self, session: Session, after: str | None, limit: int) -> list[str]:
        """As ``chunk``, the keys alone."""

    @abstractmethod
    def values(self, key: str) -> Row:
        """The raw values that a key text stands for."""

    @abstractmethod
    def delivered(self, session: Session, keys: Sequence[str]) -> list[Row]:
        """The values of key texts as the driver delivers the key's columns."""

    @abstractmethod
    def estimate(self, session: Session) -> int:
        """About how many rows the table holds."""


class Writer(ABC):
    """A target table. Rows and keys come converted to what its engine takes."""

    types: Sequence[TypeName]
    key_types: Sequence[TypeName]

    replaceable: bool
    """Whether delete and insert equal an update: every column is mapped, and nothing cascades."""

    @abstractmethod
    def upsert(self, session: Session, rows: Sequence[Row]) -> None: ...

    @abstractmethod
    def delete(self, session: Session, keys: Sequence[Row]) -> None: ...

    @abstractmethod
    def stored(self, session: Session, keys: Sequence[Row]) -> list[str]:
        """The key texts of those rows that exist, which stay locked until the transaction ends."""

    @abstractmethod
    def empty(self, session: Session) -> bool: ...

    @abstractmethod
    def stage(self, session: Session, keys: Sequence[Row]) -> None:
        """Note keys that are to survive the ``sweep`` in the same transaction."""

    @abstractmethod
    def sweep(self, session: Session) -> None:
        """Delete every row whose key was not staged."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A chunk brought over in bulk: its number of rows, and the key to go on behind, None at the end."""

    rows: int
    last: str | None


class Copier(ABC):
    """A faster way than row by row to bring a chunk over, between databases of one engine."""

    @abstractmethod
    def fetch(self, here: Session, there: Session, after: str | None) -> Fetched:
        """Bring the next chunk's rows next to the target table, without touching it yet."""

    @abstractmethod
    def merge(self, there: Session) -> None:
        """Write those fetched rows that have no version. May raise for a row that the table does not take."""
