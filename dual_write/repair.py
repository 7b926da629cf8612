"""Repair: what a check found, mended on the target; planning writes nothing, carrying it out does."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import count, groupby
from operator import attrgetter

import sqlalchemy as sa

from dual_write.adapter import Adapter
from dual_write.carrier import Carrier, carrier
from dual_write.check_result import Finding
from dual_write.databases import adapter
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair, table_pair
from dual_write.errors import RepairRefused
from dual_write.mapping import TableFlow
from dual_write.repair_order import Change, Ties, groups
from dual_write.repair_rows import Sides, both_sides, differing, source_row, target_row
from dual_write.repair_statement import Action, Statement, Table
from dual_write.repair_ties import aside, ties

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

    def script(self) -> str:
        """SQL for ``psql`` or ``sqlite3``. It holds the rows' values: keep it as safe as the database."""
        return self._transaction([statement.script for statement in self.statements])

    def undo(self) -> str:
        """As ``script``, but takes back what that does."""
        return self._transaction([statement.undo for statement in reversed(self.statements)])

    def _transaction(self, statements: Sequence[str]) -> str:
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
    with both_sides(source, target) as sides:
        writes: list[Statement] = []
        deletes: list[Statement] = []
        circles = count(1)
        for table in _parents_first(sides, list(found)):
            removed, written = _statements(
                sides, by_target[table], found[table], ties(target, table), circles
            )
            writes += written
            deletes[:0] = removed
    plan = RepairPlan((*deletes, *writes), target.dialect.name == "postgresql")
    if plan.deletes > max_deletes:
        raise RepairRefused(
            f"the repair would delete {plan.deletes} rows, and {max_deletes} are allowed; "
            f"look at the findings, and if they are right, allow --max-deletes {plan.deletes}"
        )
    return plan


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
            for batch in _batches(waiting):
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
            for unit in _units(batch):
                try:
                    with session.savepoint():
                        for statement in unit:
                            if not session.execute(statement.sql, *statement.values):
                                raise _Changed
                except _Changed:
                    skipped += unit
                except Exception as error:
                    if not target.is_row_fault(error):
                        raise
                    reason = str(error).strip().splitlines()[0]
                    failed += [Failure(statement, reason) for statement in unit]
                else:
                    applied += unit
    return RepairOutcome(tuple(applied), tuple(skipped), tuple(failed))


class _Changed(Exception):  # noqa: N818 - nothing is wrong
    """A row is not any more what it was when the repair was planned."""


def _units(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """What is carried out whole or not at all: one statement, or those of a circle."""
    for circle, together in groupby(statements, key=attrgetter("circle")):
        if circle:
            yield list(together)
        else:
            yield from ([statement] for statement in together)


def _batches(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    batch: list[Statement] = []
    for unit in _units(statements):
        batch += unit
        if len(batch) >= _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch


def _parents_first(sides: Sides, tables: Sequence[str]) -> list[str]:
    with sides.target_adapter.reading() as session:
        references = sides.target_adapter.references(session, tables)
    try:
        return list(TopologicalSorter(references).static_order())
    except CycleError:
        # No order is right for every row; those that come too early are tried again.
        return list(tables)


def _statements(
    sides: Sides, flow: TableFlow, keys: Sequence[Key], bound: Ties, circles: Iterator[int]
) -> tuple[list[Statement], list[Statement]]:
    """What deletes rows of a table, and what writes them, each in the order in which it has to run."""
    pair = table_pair(flow, sides.source, sides.target)
    with sides.source_adapter.reading() as ours, sides.target_adapter.reading() as theirs:
        carried = carrier(flow, sides.source_adapter, ours, sides.target_adapter, theirs)
        types = sides.target_adapter.columns(theirs, flow.target)
    table = Table(flow.target, sides.target.postgresql, types, flow.target_key)
    changes = [change for key in keys if (change := _change(sides, pair, carried, table, key))]
    deletes: list[Statement] = []
    writes: list[Statement] = []
    for group in groups(changes, bound):
        into = deletes if all(change.wanted is None for change in group) else writes
        if len(group) == 1:
            into.append(_statement(table, group[0]))
        else:
            into += _circle(table, group, bound, next(circles))
    return deletes, writes


def _change(sides: Sides, pair: TablePair, carried: Carrier, table: Table, key: Key) -> Change | None:
    wanted = source_row(sides, pair, carried, key)
    found = target_row(sides, pair, table, key)
    if wanted is not None and found is not None:
        wanted = {name: wanted[name] for name in differing(pair, key)}
        return Change(key, found, wanted) if wanted else None
    return None if wanted is found else Change(key, found, wanted)


def _statement(table: Table, change: Change) -> Statement:
    if change.wanted is None:
        assert change.found is not None  # noqa: S101 - a change has one of both
        return table.delete(change.key, change.found)
    if change.found is None:
        return table.insert(change.key, change.wanted)
    return table.update(change.key, change.found, change.wanted)


def _circle(table: Table, group: Sequence[Change], bound: Ties, circle: int) -> list[Statement]:
    """Every row is set aside before any gets what another had."""
    first: list[Statement] = []
    then: list[Statement] = []
    for change in group:
        values = aside(change, bound, table.types)
        if values and change.found is not None:
            first.append(table.aside(change.key, change.found, values))
            change = replace(change, found={**change.found, **values})  # noqa: PLW2901 - it is, by then
        then.append(_statement(table, change))
    return [replace(each, circle=circle) for each in (*first, *then)]
