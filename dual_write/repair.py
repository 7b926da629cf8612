"""Repair: what a check found, mended on the target; planning writes nothing, carrying it out does."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import islice

import sqlalchemy as sa

from dual_write import keys as key_texts
from dual_write.adapter import Adapter
from dual_write.carrier import Carrier, carrier
from dual_write.check_result import Finding
from dual_write.databases import adapter
from dual_write.digest_keys import Key, alternatives
from dual_write.digest_pair import TablePair, table_pair
from dual_write.digest_reader import SideReader
from dual_write.errors import RepairRefused, SchemaError
from dual_write.mapping import TableFlow
from dual_write.repair_statement import Action, Statement, Table
from dual_write.rows import Row

_ORIGIN = "repair"
# Short transactions: other writers of the target wait for no more than this.
_TOGETHER = 200


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """Statements in the order in which they have to run, and the script that takes them back."""

    statements: tuple[Statement, ...]
    postgresql: bool

    @property
    def deletes(self) -> int:
        return sum(statement.action is Action.DELETE for statement in self.statements)

    def undo(self) -> str:
        """SQL for ``psql`` or ``sqlite3``. It holds the rows' values: keep it as safe as the database."""
        statements = [statement.undo for statement in reversed(self.statements)]
        if not statements:
            return ""
        if self.postgresql:
            mark, unmark = f"SET LOCAL strangler.origin = '{_ORIGIN}';", ""
        else:
            mark = f"INSERT INTO strangler_session (origin) VALUES ('{_ORIGIN}');"
            unmark = "DELETE FROM strangler_session;"
        return "\n".join(filter(None, ("BEGIN;", mark, *statements, unmark, "COMMIT;", "")))

    def to_json(self) -> dict[str, object]:
        """Plain values, without the rows' own."""
        return {"statements": [str(statement) for statement in self.statements], "deletes": self.deletes}


@dataclass(frozen=True, slots=True)
class Failure:
    """A statement that the target refused, and its reason."""

    statement: Statement
    reason: str


@dataclass(frozen=True, slots=True)
class RepairOutcome:
    """``skipped`` found their row changed since it was planned; a new check tells whether that mended it."""

    applied: tuple[Statement, ...]
    skipped: tuple[Statement, ...]
    failed: tuple[Failure, ...]


def plan_repair(
    source: sa.Engine,
    target: sa.Engine,
    flows: Sequence[TableFlow],
    findings: Sequence[Finding],
    *,
    max_deletes: int,
) -> RepairPlan:
    """What would make the target's rows follow the source's again; nothing is written.

    Every row is read anew, so that findings which are no more yield nothing. Raises RepairRefused when more
    than ``max_deletes`` rows would be deleted, SchemaError and CheckFailed as the check does.
    """
    found: dict[str, list[Key]] = {}
    for finding in findings:
        found.setdefault(finding.table, []).append(finding.key)
    by_target = {flow.target: flow for flow in flows}
    with _sides(source, target) as sides:
        writes: list[Statement] = []
        deletes: list[Statement] = []
        for table in _parents_first(sides, list(found)):
            statements = list(_statements(sides, by_target[table], found[table]))
            writes += (each for each in statements if each.action is not Action.DELETE)
            deletes[:0] = (each for each in statements if each.action is Action.DELETE)
    if len(deletes) > max_deletes:
        raise RepairRefused(
            f"the repair would delete {len(deletes)} rows, and {max_deletes} are allowed; "
            f"look at the findings, and if they are right, allow --max-deletes {len(deletes)}"
        )
    return RepairPlan((*deletes, *writes), target.dialect.name == "postgresql")


def apply_repair(target: sa.Engine, flows: Sequence[TableFlow], plan: RepairPlan) -> RepairOutcome:
    """Carry out a plan, marked so that capture and guard let it pass. Applying it twice changes nothing more.

    Raises UnreachableError or LockedError; what was applied until then stays, and a new plan leaves it out.
    """
    suppress = all(flow.suppress_triggers for flow in flows)
    waiting = list(plan.statements)
    applied: list[Statement] = []
    skipped: list[Statement] = []
    failures: list[Failure] = []
    writer = adapter(target.url)
    try:
        while waiting:
            before, failures = len(waiting), []
            pending = iter(waiting)
            while batch := list(islice(pending, _TOGETHER)):
                done = _apply_batch(writer, batch, suppress)
                applied += done.applied
                skipped += done.skipped
                failures += done.failed
            # A row may have waited for another: a parent of the same table, a unique value to be set free.
            waiting = [failure.statement for failure in failures]
            if len(waiting) == before:
                break
    finally:
        writer.dispose()
    return RepairOutcome(tuple(applied), tuple(skipped), tuple(failures))


def _apply_batch(target: Adapter, batch: Sequence[Statement], suppress: bool) -> RepairOutcome:
    applied: list[Statement] = []
    skipped: list[Statement] = []
    failed: list[Failure] = []
    tables = sorted({statement.table for statement in batch})
    with target.writing() as session:
        # Where there is no bookkeeping there is no capture that could take the repair for a client's write.
        marked = target.has_bookkeeping(session)
        with target.replicating(session, _ORIGIN, tables, suppress) if marked else nullcontext():
            for statement in batch:
                try:
                    with session.savepoint():
                        changed = session.execute(statement.sql, *statement.values)
                except Exception as error:
                    if not target.is_row_fault(error):
                        raise
                    failed.append(Failure(statement, str(error).strip().splitlines()[0]))
                else:
                    (applied if changed else skipped).append(statement)
    return RepairOutcome(tuple(applied), tuple(skipped), tuple(failed))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both databases: as the check sees them, and as replication does.

    Nothing stays open from one row to the next: on SQLite a reader that lingers keeps every writer out, and a
    writer that waits keeps out this plan's own next read.
    """

    source: SideReader
    target: SideReader
    source_adapter: Adapter
    target_adapter: Adapter


@contextmanager
def _sides(source: sa.Engine, target: sa.Engine) -> Iterator[_Sides]:
    with ExitStack() as stack:
        ours, theirs = adapter(source.url), adapter(target.url)
        stack.callback(ours.dispose)
        stack.callback(theirs.dispose)
        yield _Sides(
            stack.enter_context(SideReader(source, "source")),
            stack.enter_context(SideReader(target, "target")),
            ours,
            theirs,
        )


def _parents_first(sides: _Sides, tables: Sequence[str]) -> list[str]:
    with sides.target_adapter.reading() as session:
        references = sides.target_adapter.references(session, tables)
    try:
        return list(TopologicalSorter(references).static_order())
    except CycleError:
        # No order is right for every row; those that come too early are tried again.
        return list(tables)


def _statements(sides: _Sides, flow: TableFlow, keys: Sequence[Key]) -> Iterator[Statement]:
    pair = table_pair(flow, sides.source, sides.target)
    with sides.source_adapter.reading() as ours, sides.target_adapter.reading() as theirs:
        carried = carrier(flow, sides.source_adapter, ours, sides.target_adapter, theirs)
        types = sides.target_adapter.columns(theirs, flow.target)
    table = Table(flow.target, sides.target.postgresql, types, flow.target_key)
    for key in keys:
        wanted = _source_row(sides, pair, carried, key)
        found = _target_row(sides, pair, table, key)
        if wanted is None and found is not None:
            yield table.delete(key, found)
        elif wanted is not None and found is None:
            yield table.insert(key, wanted)
        elif wanted is not None and found is not None:
            differing = _differing(pair, key)
            if differing:
                yield table.update(key, found, {name: wanted[name] for name in differing})


def _source_row(sides: _Sides, pair: TablePair, carried: Carrier, key: Key) -> Mapping[str, object] | None:
    """The source's row in the form that the target takes."""
    stored = [
        _key_text(sides.source.postgresql, values) for values in alternatives(pair.source_query.keys, key)
    ]
    with sides.source_adapter.reading() as session:
        rows = carried.reader.rows(session, stored)
    for raw in rows.values():
        try:
            values = carried.row(raw)
        except ValueError as error:
            raise SchemaError(
                f"row {list(key)} of {pair.flow.source!r} cannot be carried to {pair.flow.target!r}: "
                f"{error}; correct the row, or map the column in the plan"
            ) from error
        return dict(zip((column.target for column in pair.flow.columns), values, strict=True))
    return None


def _key_text(postgresql: bool, values: Row) -> str:
    return key_texts.encode([str(value) for value in values] if postgresql else values)


def _target_row(sides: _Sides, pair: TablePair, table: Table, key: Key) -> Mapping[str, object] | None:
    matches = " AND ".join(f"{column.match} = ?" for column in pair.target_query.keys)
    with sides.target_adapter.reading() as session:
        for values in alternatives(pair.target_query.keys, key):
            rows = session.execute(f"SELECT {table.selected()} FROM {table.sql} WHERE {matches}", *values)
            if rows:
                return dict(zip(table.types, rows[0], strict=True))
    return None


def _differing(pair: TablePair, key: Key) -> list[str]:
    source, target = pair.rows([key])[key]
    if source is None or target is None:
        return []
    return [pair.columns.columns[at].name for at in pair.columns.differing(source, target)]
