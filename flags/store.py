"""The embedded flag store: flags kept in the control database, for teams without an Unleash server."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from flags import revision
from flags.document import Feature, document, gradual, inlined, parse_features, with_share
from flags.errors import FlagError
from flags.percent import Precision, require_precision
from flags.rule import compile_feature
from flags.snapshot import FlagSnapshot, compile_snapshot
from flags.strategy import known
from flags.tables import flags


@dataclass(frozen=True, slots=True)
class StoredFlag:
    """A flag as stored: ``share`` in ‱, when (seconds since 1970) and by whom it was last changed.

    ``told_at`` is when an Unleash server last agreed, None after a change made here. Whatever that says, a
    flag that was ``killed`` here is off until it is given a share here.
    """

    feature: Feature
    share: int
    updated_at: float
    updated_by: str
    told_at: float | None = None
    killed: bool = False

    @property
    def name(self) -> str:
        return self.feature.name


class EmbeddedStore:
    """Flags in the control database. Every change raises the control revision in the same transaction.

    Each method runs in a transaction of its own, or joins the caller's when given its connection as
    ``within``. Changes return the new revision.
    """

    def __init__(
        self,
        engine: Engine,
        precision: Precision = Precision.PERCENT,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._precision = precision
        self._clock = clock

    def snapshot(self, within: Connection | None = None) -> FlagSnapshot:
        """Everything, compiled, at a revision that is not newer than the flags themselves."""
        with nullcontext(within) if within is not None else self._engine.connect() as connection:
            at = revision.read(connection)
            return compile_snapshot(at, (flag.feature for flag in _read_all(connection)))

    def list(self, within: Connection | None = None) -> list[StoredFlag]:
        """Every flag, by name."""
        with nullcontext(within) if within is not None else self._engine.connect() as connection:
            return _read_all(connection)

    def get(self, name: str, within: Connection | None = None) -> StoredFlag | None:
        """One flag, or None when nobody ever set it."""
        with nullcontext(within) if within is not None else self._engine.connect() as connection:
            return _read(connection, name)

    def set_share(self, name: str, permyriad: int, actor: str, within: Connection | None = None) -> int:
        """Turn a flag on for a share of all keys, creating it when needed. Raises FlagError.

        A flag keeps its group, so whoever was in at a smaller share is in at a greater one.
        """
        if not 0 <= permyriad <= 10_000:
            raise FlagError(f"a share of {permyriad} ‱ is outside 0..10000. Give a percentage from 0 to 100.")
        require_precision(permyriad, self._precision)
        with self._change(within) as (connection, raised):
            stored = _read(connection, name)
            feature = gradual(name, permyriad) if stored is None else with_share(stored.feature, permyriad)
            _write(connection, feature, self._clock(), actor)
            return raised

    def kill(self, name: str, actor: str, within: Connection | None = None) -> int:
        """Turn a flag, or all flags of a phase, off for everybody, until it is given a share again.

        Raises FlagError when there is no such flag, so that a slip of the pen is not taken for a kill.
        """
        with self._change(within) as (connection, raised):
            stored = _read_all(connection)
            doomed = [
                flag.feature for flag in stored if flag.name == name or flag.name.startswith(f"{name}.")
            ]
            if not doomed:
                raise FlagError(_unknown(name, [flag.name for flag in stored]))
            for feature in doomed:
                off = feature.model_copy(update={"enabled": False})
                _write(connection, off, self._clock(), actor, killed=True)
            return raised

    def remove(self, phase: str, within: Connection) -> None:
        """Forget the flags of a phase that nobody asks for any more."""
        names = [flag.name for flag in _read_all(within) if flag.name.startswith(f"{phase}.")]
        within.execute(delete(flags).where(flags.c.name.in_(names)))

    def export(self) -> dict[str, Any]:
        """Every flag as one document in the format of Unleash's client API."""
        return document(flag.feature for flag in self.list())

    def import_(self, features: Mapping[str, Any], actor: str, within: Connection | None = None) -> int:
        """Create or replace the flags of such a document; all of them or, with FlagError, none."""
        parsed = inlined(parse_features(features))
        names = [feature.name for feature in parsed]
        for feature in parsed:
            if names.count(feature.name) > 1:
                raise FlagError(f"flag {feature.name!r} is in the document more than once. Keep one of them.")
            require_precision(compile_feature(feature).share, self._precision)
            for strategy in feature.strategies:
                if not known(strategy):
                    raise FlagError(
                        f"flag {feature.name!r} uses the strategy {strategy.name!r}, nobody is in by. "
                        "Use one of Unleash's standard strategies, or leave it out."
                    )
        with self._change(within) as (connection, raised):
            for feature in parsed:
                _write(connection, feature, self._clock(), actor)
            return raised

    def told(self, flag: StoredFlag) -> None:
        """Remember that Unleash took the flag as it is, unless it was changed meanwhile. No worker cares."""
        with self._engine.begin() as connection:
            connection.execute(
                update(flags)
                .where(flags.c.name == flag.name, flags.c.told_at.is_(None))
                .where(flags.c.updated_at == flag.updated_at, flags.c.updated_by == flag.updated_by)
                .values(told_at=self._clock())
            )

    def take(self, features: Iterable[Feature], gone: Iterable[str], within: Connection, source: str) -> None:
        """Write what Unleash says, and drop the flags that it has no more, in the caller's change."""
        for feature in features:
            at = self._clock()
            _write(within, feature, at, source, told_at=at)
        for name in gone:
            within.execute(delete(flags).where(flags.c.name == name))

    @contextmanager
    def _change(self, within: Connection | None) -> Iterator[tuple[Connection, int]]:
        with nullcontext(within) if within is not None else self._engine.begin() as connection:
            yield connection, revision.bump(connection)


def as_stored(feature: Feature) -> Feature:
    """The feature as it comes back from the store, to be compared with what does."""
    return Feature.model_validate_json(_text(feature))


def _text(feature: Feature) -> str:
    return feature.model_dump_json(exclude_none=True)


def _read_all(connection: Connection) -> list[StoredFlag]:
    return [_stored(row) for row in connection.execute(select(flags).order_by(flags.c.name))]


def _read(connection: Connection, name: str) -> StoredFlag | None:
    row = connection.execute(select(flags).where(flags.c.name == name)).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Row[Any]) -> StoredFlag:
    feature = Feature.model_validate_json(row.document)
    share = compile_feature(feature).share
    return StoredFlag(feature, share, row.updated_at, row.updated_by, row.told_at, row.killed)


def _write(
    connection: Connection,
    feature: Feature,
    at: float,
    actor: str,
    *,
    told_at: float | None = None,
    killed: bool = False,
) -> None:
    values = {
        "document": _text(feature),
        "updated_at": at,
        "updated_by": actor,
        "told_at": told_at,
        "killed": killed,
    }
    if connection.execute(update(flags).where(flags.c.name == feature.name).values(values)).rowcount == 0:
        connection.execute(insert(flags).values(name=feature.name, **values))


def _unknown(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, [*known, *{flag.rpartition(".")[0] for flag in known}], n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "`strangler flags list` shows those that are set."
    return f"there is no flag and no phase with flags named {name!r}. {hint}"
