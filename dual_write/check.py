"""Do both sides hold the same? Reads only; a failure of its own is an error, never a verdict."""

import difflib
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from dual_write.changes import Changes, Mark
from dual_write.check_generations import Covered, Generations
from dual_write.check_pace import FULL_SPEED, POLITE, Manners
from dual_write.check_result import CheckResult, Finding, TableResult
from dual_write.check_sample import Sample
from dual_write.check_state import Memory
from dual_write.check_suspects import Settle, confirm
from dual_write.check_vantage import DIRECT, Sides, Vantage, both_sides, walked_sides
from dual_write.check_walk import SUSPECTS, Order, Progress, compare
from dual_write.digest_columns import Row
from dual_write.digest_pair import TablePair, table_pair
from dual_write.errors import CheckFailed, SchemaError
from dual_write.mapping import TableFlow

__all__ = ["FULL_SPEED", "POLITE", "Manners", "Progress", "Recheck", "Vantage", "run_check"]


def run_check(
    source: sa.Engine,
    target: sa.Engine,
    flows: Sequence[TableFlow],
    *,
    settle: Settle | None = None,
    progress: Progress | None = None,
    chunk_rows: int | None = None,
    table: str | None = None,
    limit: int | None = None,
    reveal: bool = False,
    manners: Manners = POLITE,
    memory: Memory | None = None,
    changes: Changes | None = None,
    since: Mark | None = None,
    sample: Sample | None = None,
    vantage: Vantage = DIRECT,
) -> CheckResult:
    """Compare every row of every flow's tables through its mapping; ``source`` is the side that owns them.

    ``settle`` tells a change that is still on its way from a difference; leave it out only when nothing
    writes. ``chunk_rows`` bounds what one statement reads. ``table`` picks one table by its name on either
    side; ``limit`` stops after so many findings. ``reveal`` puts values in clear into the findings.
    ``manners`` spare the databases. ``memory`` keeps how far it has come, and where to go on.
    ``changes``, with ``settle``, has keys that changed meanwhile compared again; with a mark to begin at,
    ``since``, nothing but those that changed behind it. With a ``sample`` the other ranges are left out.
    ``vantage`` has whole tables read from elsewhere than the databases as they are.

    Raises CheckFailed or UnreachableError when the check could not be carried through, SchemaError when
    tables, columns or types cannot be compared.
    """
    order = Order(settle, progress, chunk_rows, limit, reveal, memory, sample)
    started, clock = memory.started if memory else datetime.now(UTC), time.monotonic()
    chosen = _chosen(flows, table)
    complete = True
    covered: Covered | None = None
    with both_sides(source, target, manners) as sides:
        begun = since or (None if sample else _begun(changes, memory))
        if since is not None:
            results = [TableResult(flow.source, flow.target, 0, (), ()) for flow in chosen]
        else:
            with walked_sides(source, target, sides, manners, vantage) as walked:
                results, complete = _walk(chosen, walked, sides, order)
        if complete and changes and settle and sample is None:
            paired = list(zip(chosen, results, strict=True))
            results, covered = Generations(changes, settle, sides, order).run(paired, begun)
    return CheckResult(
        tuple(results),
        started,
        time.monotonic() - clock,
        _covers(results, len(chosen), started, settle is not None, complete, covered, since, sample, vantage),
        complete,
        None if covered is None else covered.mark,
    )


def _walk(
    chosen: Sequence[TableFlow], walked: Sides, direct: Sides, order: Order
) -> tuple[list[TableResult], bool]:
    """Each table's result, and whether all of them were compared whole."""
    results: list[TableResult] = []
    complete = True
    for flow in chosen:
        room = None if order.limit is None else order.limit - sum(len(result.findings) for result in results)
        if room is not None and room <= 0:
            return results, False
        result, whole = compare(flow, walked, direct, order, room)
        results.append(result)
        complete = complete and whole
    return results, complete


def _begun(changes: Changes | None, memory: Memory | None) -> Mark | None:
    if changes is None:
        return None
    return changes.mark() if memory is None else memory.mark(changes.mark)


class Recheck:
    """Compares chosen rows of ``flows``, at the fenced side of a switch: nothing may be writing to them.

    As a context manager: both databases are connected, and the tables read up on, when it is entered, so
    that ``findings`` costs no more than the rows, at full speed: clients wait. Entering raises
    UnreachableError and SchemaError.
    """

    def __init__(self, source: sa.Engine, target: sa.Engine, flows: Sequence[TableFlow]) -> None:
        self._engines = source, target
        self._flows = flows
        self._pairs: dict[TableFlow, TablePair] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            ours, theirs = stack.enter_context(both_sides(*self._engines, FULL_SPEED))
            self._pairs = {flow: table_pair(flow, ours, theirs) for flow in self._flows}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def findings(self, flow: TableFlow, keys: Sequence[Row]) -> list[Finding]:
        """The differing rows under these keys, given as values of the source's key columns.

        Raises as run_check, and CheckFailed when a row never held still.
        """
        pair = self._pairs[flow]
        wanted = list(dict.fromkeys(pair.columns.key_from(key) for key in keys))
        findings: list[Finding] = []
        for start in range(0, len(wanted), SUSPECTS):
            verdict = confirm(pair, wanted[start : start + SUSPECTS], None, reveal=False)
            findings += verdict.findings
            if verdict.undecided:
                raise CheckFailed(
                    f"{len(verdict.undecided)} rows of {flow.target!r} kept changing while they were "
                    "compared; find out who writes to them behind the guard, and check again"
                )
        return findings


def _chosen(flows: Sequence[TableFlow], table: str | None) -> list[TableFlow]:
    chosen = [flow for flow in flows if table is None or table in flow.tables]
    if chosen or table is None:
        return chosen
    known = sorted({name for flow in flows for name in flow.tables})
    close = difflib.get_close_matches(table, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}."
    raise SchemaError(f"the phase has no table {table!r}; {hint}")


def _covers(
    results: Sequence[TableResult],
    tables: int,
    started: datetime,
    settled: bool,
    complete: bool,
    covered: Covered | None,
    since: Mark | None,
    sample: Sample | None,
    vantage: Vantage,
) -> str:
    tolerated = _tolerated(results)
    if since is not None:
        return f"what changed since {since}, and no other row; {covered}{tolerated}"
    rows = sum(result.rows for result in results)
    text = f"{rows} rows in {len(results)} of {tables} tables, read from {started:%Y-%m-%d %H:%M:%S} UTC on"
    text += f", {vantage}; " if vantage != DIRECT else "; "
    if covered is not None:
        text += str(covered)
    elif settled:
        text += "rows that changed meanwhile were judged once replication had passed them"
    else:
        text += "vouches only if nothing wrote meanwhile"
    text += tolerated
    if sample is not None:
        text = f"{sample}: {text}"
    return text if complete else text + "; stopped at the limit of findings, the rest was not compared"


def _tolerated(results: Sequence[TableResult]) -> str:
    """In words, with the column of each; nothing where no value made use of a tolerance."""
    told = [f"{each.target}.{name} {count}" for each in results for name, count in each.tolerated.items()]
    return f"; values that differ by no more than the plan tolerates: {', '.join(told)}" if told else ""
