"""Generations: keys that changed after the check had passed them, compared until none is left."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from dual_write.changes import Changes, Mark
from dual_write.check_result import Finding, TableResult
from dual_write.check_suspects import Settle, Verdict, confirm
from dual_write.check_walk import Order, compare
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair, table_pair
from dual_write.digest_reader import SideReader
from dual_write.errors import CheckFailed
from dual_write.mapping import TableFlow
from dual_write.spool import Spool

GENERATIONS = 5
"""While a busy client writes none need ever be empty; the verdict then says how large the last was."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Everything captured up to ``mark`` was compared; None when no position can be named.

    ``keys`` were compared again, the ``last`` of them in a generation during which others may have changed.
    """

    mark: Mark | None
    keys: int = 0
    last: int = 0

    def __str__(self) -> str:
        if self.mark is None:
            return "no position can be named, because a transaction stays open that may still write behind it"
        told = f"as of {self.mark}, {self.keys} keys that had changed compared for it"
        return told + (f", the last {self.last} while others may have changed" if self.last else "")


class Generations:
    """Compares what changed since a mark in tables, and brings their results up to date."""

    def __init__(
        self, changes: Changes, settle: Settle, sides: tuple[SideReader, SideReader], order: Order
    ) -> None:
        self._changes = changes
        self._settle = settle
        self._sides = sides
        self._order = order
        self._pairs: dict[TableFlow, TablePair] = {}

    def run(
        self, results: Sequence[tuple[TableFlow, TableResult]], mark: Mark | None
    ) -> tuple[list[TableResult], Covered]:
        """The results as of the last mark, and what they cover. Raises as `run_check`.

        Keys count as a table's rows where none were compared before.
        """
        tables = {flow: _Table(result) for flow, result in results if flow.source_key}
        covered = Covered(mark)
        for _ in range(GENERATIONS):
            following = self._changes.mark() if mark else None
            if mark is None or following is None:
                covered = Covered(None)
                break
            looked = self._generation(tables, mark) if following != mark or _undecided(tables) else 0
            covered = Covered(following, covered.keys + looked, looked)
            mark = following
            if not looked:
                break
        return [tables[flow].result() if flow in tables else result for flow, result in results], covered

    def _generation(self, tables: "Mapping[TableFlow, _Table]", mark: Mark) -> int:
        if not self._settle():
            raise CheckFailed(
                "replication did not catch up in time, so what changed during the check could not be judged; "
                "look at the lag with `strangler status`, and check again when it is low"
            )
        return sum(self._look(flow, table, mark) for flow, table in tables.items())

    def _look(self, flow: TableFlow, table: "_Table", mark: Mark) -> int:
        looked = 0
        unsettled = [table.undecided] if table.undecided else []
        for keys in chain(unsettled, self._keys(flow, mark)):
            if keys is None:
                order = replace(self._order, memory=None)
                table.result_is(compare(flow, self._sides, self._sides, order, None)[0])
                return table.rows
            verdict = confirm(self._pair(flow), keys, self._settle, reveal=self._order.reveal)
            table.judge(keys, verdict)
            looked += len(keys)
            if self._order.progress:
                self._order.progress(flow.name, table.rows + looked, table.rows + looked)
        return looked

    def _keys(self, flow: TableFlow, mark: Mark) -> Iterator[list[Key] | None]:
        for rows in self._changes.since(flow, mark):
            if rows is None:
                yield None
            else:
                yield list(dict.fromkeys(map(self._pair(flow).columns.key_from, rows)))

    def _pair(self, flow: TableFlow) -> TablePair:
        if flow not in self._pairs:
            self._pairs[flow] = table_pair(flow, *self._sides, push_down=False)
        return self._pairs[flow]


def _undecided(tables: "Mapping[TableFlow, _Table]") -> bool:
    return any(table.undecided for table in tables.values())


class _Table:
    """One table's verdict, key by key."""

    def __init__(self, result: TableResult) -> None:
        self.result_is(result)

    def result_is(self, result: TableResult) -> None:
        self.rows = result.rows
        self._result = result
        self._judged: set[Key] = set()
        self._fresh: dict[Key, Finding] = {}
        self.undecided = list(result.undecided)
        self._tolerated = Counter(result.tolerated)

    def judge(self, keys: Sequence[Key], verdict: Verdict) -> None:
        """What was found under a key before counts no more."""
        for key in keys:
            self._fresh.pop(key, None)
        self._fresh |= {finding.key: finding for finding in verdict.findings}
        self._judged |= {*keys}
        self._tolerated += verdict.tolerated
        self.undecided = [key for key in self.undecided if key not in self._judged] + list(verdict.undecided)

    def result(self) -> TableResult:
        if not self._judged:
            return self._result
        kept = (finding for finding in self._result.findings if finding.key not in self._judged)
        return replace(
            self._result,
            rows=self.rows or len(self._judged),
            findings=Spool(chain(kept, self._fresh.values())),
            undecided=tuple(self.undecided),
            tolerated=self._tolerated,
        )
