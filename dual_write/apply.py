"""Apply: one batch of changed keys written to the target, inside a transaction that the caller holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from dual_write.adapter import Adapter, Change
from dual_write.carrier import Carrier
from dual_write.conflict import ConflictError, Known, Opposite
from dual_write.parking import Parked
from dual_write.rows import Row, Session

WHOLE_TABLE = ""
"""The key text that stands for all rows: no key is empty."""


class Work(NamedTuple):  # made for every change: a dataclass would take three times as long
    """One key to bring up to date: the newest sequence that touched it, and how many entries that was.

    ``table`` is the lane by which its changes come.
    """

    table: str
    key: str
    seq: int
    entries: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A key that the target would not take, and why."""

    work: Work
    error: Exception


def gather(changes: Iterable[Change], retried: Iterable[Parked]) -> list[Work]:
    """Each key once, whatever the number and order of its changes."""
    found: dict[tuple[str, str], Work] = {
        (parked.table, parked.key): Work(parked.table, parked.key, parked.seq, 0) for parked in retried
    }
    for _, seq, table, key in changes:
        name = (table, key or WHOLE_TABLE)
        known = found.get(name)
        if known is None:
            found[name] = Work(*name, seq, 1)
        else:
            found[name] = Work(*name, max(known.seq, seq), known.entries + 1)
    return list(found.values())


def routed(changes: Iterable[Change], lanes: Mapping[str, Sequence[str]]) -> Iterator[Change]:
    """Each change once for every lane that its table feeds."""
    for change in changes:
        for lane in lanes.get(change.table, (change.table,)):
            yield change if lane == change.table else change._replace(table=lane)


@dataclass(frozen=True, slots=True)
class _Operation:
    """What is done at once to one table: rows by key to write, or keys to delete, or the table to sweep."""

    carrier: Carrier
    works: Sequence[Work]
    values: Sequence[Row]
    kind: str


class Applier:
    """Writes batches of one stream to one target. ``carriers`` come parents first."""

    def __init__(
        self,
        target: Adapter,
        stream: str,
        origin: str,
        carriers: Mapping[str, Carrier],
        sweep: Callable[[Session, Carrier], None],
        opposite: Opposite | None = None,
    ) -> None:
        self._target = target
        self._stream = stream
        self._origin = origin
        self._carriers = carriers
        self._sweep = sweep
        self._opposite = opposite
        self._known: Known | None = None

    def apply(
        self,
        session: Session,
        epoch: int,
        works: Sequence[Work],
        rows: Mapping[tuple[str, str], Row],
        known: Known | None = None,
    ) -> list[Failure]:
        """Write each key's row from ``rows``, or delete it where there is none; what could not be written.

        ``known``, while both sides take writes, is what the source knew of the target when it was read.
        """
        self._known = known
        operations, failures = self._plan(works, rows)
        for suppress, group in groupby(
            operations, key=lambda operation: operation.carrier.flow.suppress_triggers
        ):
            together = list(group)
            tables = sorted({operation.carrier.flow.target for operation in together})
            with self._target.replicating(session, self._origin, tables, suppress):
                for operation in together:
                    failures += self._run(session, epoch, operation)
        return failures

    def _plan(
        self, works: Sequence[Work], rows: Mapping[tuple[str, str], Row]
    ) -> tuple[list[_Operation], list[Failure]]:
        failures: list[Failure] = []
        kinds: dict[tuple[str, str], list[tuple[Work, Row]]] = {}
        for work in works:
            table, key, _, _ = work
            carrier = self._carriers[table]
            raw = rows.get((table, key))
            try:
                if key == WHOLE_TABLE:
                    kinds.setdefault((table, "sweep"), []).append((work, ()))
                elif raw is None:
                    kinds.setdefault((table, "delete"), []).append((work, carrier.key(key)))
                else:
                    kinds.setdefault((table, "upsert"), []).append((work, carrier.row(raw)))
            except ValueError as error:
                failures.append(Failure(work, error))
        return list(self._ordered(kinds)), failures

    def _ordered(self, kinds: Mapping[tuple[str, str], list[tuple[Work, Row]]]) -> Iterator[_Operation]:
        """Deletes with children first, which sets unique values free; then writes with parents first."""
        tables = list(self._carriers)
        steps = [(table, kind) for table in reversed(tables) for kind in ("sweep", "delete")]
        steps += [(table, "upsert") for table in tables]
        for table, kind in steps:
            if chosen := kinds.get((table, kind)):
                works, values = zip(*chosen, strict=True)
                yield _Operation(self._carriers[table], works, values, kind)

    def _run(self, session: Session, epoch: int, operation: _Operation) -> list[Failure]:
        try:
            with session.savepoint():
                self._write(session, epoch, operation)
        except Exception as error:
            if not (isinstance(error, ConflictError) or self._target.is_row_fault(error)):
                raise
            if len(operation.works) == 1:
                return [Failure(operation.works[0], error)]
            return self._run_singly(session, epoch, operation)
        return []

    def _run_singly(self, session: Session, epoch: int, operation: _Operation) -> list[Failure]:
        failures: list[Failure] = []
        stuck: list[tuple[Work, Row]] = []
        for work, row in zip(operation.works, operation.values, strict=True):
            if failed := self._run(
                session, epoch, _Operation(operation.carrier, [work], [row], operation.kind)
            ):
                failures += failed
                if not isinstance(failed[0].error, ConflictError):
                    stuck.append((work, row))
        if len(stuck) > 1 and self._exchange(session, epoch, operation, stuck):
            return [failure for failure in failures if isinstance(failure.error, ConflictError)]
        return failures

    def _exchange(
        self, session: Session, epoch: int, operation: _Operation, stuck: Sequence[tuple[Work, Row]]
    ) -> bool:
        """Rows that swapped a unique value block each other: take all of them out, then put them back."""
        carrier = operation.carrier
        if operation.kind != "upsert" or not (carrier.writer.replaceable and carrier.flow.suppress_triggers):
            return False
        works, rows = zip(*stuck, strict=True)
        try:
            with session.savepoint():
                carrier.writer.delete(session, [carrier.key(work.key) for work in works])
                self._write(session, epoch, _Operation(carrier, works, rows, "upsert"))
        except Exception as error:
            if not (isinstance(error, ConflictError) or self._target.is_row_fault(error)):
                raise
            return False
        return True

    def _write(self, session: Session, epoch: int, operation: _Operation) -> None:
        carrier, writer = operation.carrier, operation.carrier.writer
        deleted = operation.kind != "upsert"
        entries = [(work.key, work.seq, deleted) for work in operation.works]
        fresh = self._target.claim(session, self._stream, operation.works[0].table, epoch, entries)
        if operation.kind == "sweep":
            if fresh:
                self._sweep(session, carrier)
                if self._opposite is not None and self._known is not None:
                    self._opposite.require_table_known(session, self._known, carrier.flow.target)
            return
        chosen = [
            (key, value)
            for (_, key, _, _), value in zip(operation.works, operation.values, strict=True)
            if key in fresh
        ]
        if not chosen:
            return
        keys, values = zip(*chosen, strict=True)
        if deleted:
            self._require_known(session, carrier, keys)
            writer.delete(session, values)
        else:
            # A row that is not there yet cannot be locked before it is written.
            writer.upsert(session, values)
            self._require_known(session, carrier, keys)

    def _require_known(self, session: Session, carrier: Carrier, keys: Sequence[str]) -> None:
        if self._opposite is not None and self._known is not None:
            self._opposite.require_known(session, self._known, carrier, [carrier.key(key) for key in keys])
