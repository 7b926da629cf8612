"""One table's walk: chunk after chunk, suspects judged on the way, and what it has come to kept."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from dual_write.check_bag import compare_bags
from dual_write.check_pace import Pace
from dual_write.check_result import Finding, TableResult
from dual_write.check_sample import SAMPLED_ROWS, Sample
from dual_write.check_state import Memory, TableState
from dual_write.check_suspects import Settle, confirm
from dual_write.check_vantage import Sides
from dual_write.digest import PUSHED_DOWN_ROWS, STREAMED_ROWS, Chunk, PushedDown, Streamed, Stride
from dual_write.digest_across import ACROSS_ROWS, across
from dual_write.digest_attached import ATTACHED_ROWS, Attached, attachable
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair, table_pair
from dual_write.digest_reader import ValueFault
from dual_write.mapping import TableFlow
from dual_write.spool import Spool

Progress = Callable[[str, int, int], None]
"""Called with the source table, the rows compared so far, and about how many there are."""

# So many suspects at most are looked at together, so that a table that differs in every row fits in memory.
SUSPECTS = 2_000
# A walk that is killed repeats about this much work,
_KEEP_SECONDS = 0.2
# and from so many findings on, all that follow: a state names every one of them.
_KEPT_FINDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """How a check was asked for."""

    settle: Settle | None = None
    progress: Progress | None = None
    chunk_rows: int | None = None
    limit: int | None = None
    reveal: bool = False
    memory: Memory | None = None
    sample: Sample | None = None

    def stride(self, pace: Pace, most: int) -> Stride:
        """How many rows each range has. A sample's are of one length, so that they can be drawn again."""
        fixed = self.chunk_rows or (SAMPLED_ROWS if self.sample else None)
        return partial(pace.rows, most) if fixed is None else lambda: fixed


class Walk:
    """Compares one table's rows, up to ``room`` findings. ``direct``, the databases themselves, judges."""

    def __init__(
        self, pair: TablePair, direct: Sides, order: Order, room: int | None, state: TableState
    ) -> None:
        self._pair = pair
        self._judged_by = replace(pair, source=direct[0], target=direct[1])
        self._order = order
        self._room = room
        self._after = state.after
        self._rows = state.rows
        self._suspects: list[Key] = list(state.suspects)
        self._done = state.done
        self._findings: Spool[Finding] = Spool()
        self._undecided: list[Key] = []
        self._tolerated = Counter(state.tolerated)
        self._kept = time.monotonic()

    def run(self) -> tuple[TableResult, bool]:
        """The table's result, and whether all of the table was compared. Raises as `run_check`."""
        order, pair, room = self._order, self._pair, self._room
        expected = pair.source.estimate(pair.flow.source) if order.progress else 0
        together = SUSPECTS if room is None else min(room, SUSPECTS)
        for chunk in self._chunks():
            self._rows += chunk.rows
            self._suspects += chunk.suspects
            if order.progress:
                order.progress(pair.flow.name, self._rows, max(expected, self._rows))
            if len(self._suspects) >= together:
                self._judge()
                if room is not None and len(self._findings) >= room:
                    return self._result(), False
            if chunk.end is not None:
                self._after = chunk.end
                self._keep()
        if self._suspects:
            self._judge()
        self._keep(done=True)
        return self._result(), room is None or len(self._findings) <= room

    def _chunks(self) -> Iterator[Chunk]:
        if self._done:
            return iter(())
        pair, sample = self._pair, self._order.sample
        stride = partial(self._order.stride, pair.source.pace)
        if pair.pushed_down:
            return PushedDown(pair, stride(PUSHED_DOWN_ROWS), sample).chunks(self._after)
        streamed = Streamed(pair, stride(STREAMED_ROWS), sample)
        if sample is None and attachable(pair):
            return Attached(pair, stride(ATTACHED_ROWS), streamed).chunks(self._after)
        if sample is None and (screened := across(pair, stride(ACROSS_ROWS), streamed)):
            return screened.chunks(self._after)
        return streamed.chunks(self._after)

    def _judge(self) -> None:
        keys = list(dict.fromkeys(self._suspects))
        for start in range(0, len(keys), SUSPECTS):
            some = keys[start : start + SUSPECTS]
            verdict = confirm(self._judged_by, some, self._order.settle, reveal=self._order.reveal)
            self._findings.extend(verdict.findings)
            self._undecided.extend(verdict.undecided)
            self._tolerated += verdict.tolerated
        self._suspects.clear()

    def _keep(self, *, done: bool = False) -> None:
        if self._order.memory is None or (not done and time.monotonic() - self._kept < _KEEP_SECONDS):
            return
        if len(self._findings) > _KEPT_FINDINGS:
            return
        state = TableState(
            self._pair.pushed_down,
            self._after,
            self._rows,
            (*(finding.key for finding in self._findings), *self._undecided, *self._suspects),
            done,
            self._tolerated,
        )
        self._order.memory.keep(self._pair.flow, state)
        self._kept = time.monotonic()

    def _result(self) -> TableResult:
        flow = self._pair.flow
        findings = self._findings if self._room is None else self._findings[: self._room]
        return TableResult(
            flow.source, flow.target, self._rows, findings, tuple(self._undecided), self._tolerated
        )


def compare(
    flow: TableFlow, walked: Sides, direct: Sides, order: Order, room: int | None
) -> tuple[TableResult, bool]:
    """Compare one table, from where the order's memory says that it stands."""
    if not flow.source_key:
        return _bags(table_pair(flow, *walked, push_down=False, nullable=True), direct, order, room)
    state = order.memory.recall(flow) if order.memory else None
    pair = table_pair(flow, *walked, push_down=state is None or state.pushed_down)
    if state is None or state.pushed_down is not pair.pushed_down:
        state = TableState(pair.pushed_down)
    try:
        return Walk(pair, direct, order, room, state).run()
    except ValueFault:
        # A stored value that the servers' own casts refuse, such as JSON that jsonb cannot hold.
        if not pair.pushed_down:
            raise
    pair = table_pair(flow, *walked, push_down=False)
    return Walk(pair, direct, order, room, TableState(False)).run()


def _bags(pair: TablePair, direct: Sides, order: Order, room: int | None) -> tuple[TableResult, bool]:
    source = pair.flow.source
    expected = pair.source.estimate(source) if order.progress else 0

    def read(rows: int) -> None:
        if order.progress:
            order.progress(source, rows, max(expected, rows))

    again = replace(pair, source=direct[0], target=direct[1])
    result = compare_bags(pair, again, order.settle, read, reveal=order.reveal)
    if room is None or len(result.findings) <= room:
        return result, True
    shown = result.findings[:room]
    return TableResult(result.source, result.target, result.rows, shown, result.undecided), False
