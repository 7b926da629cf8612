"""A phase's consistency check: every table, in the direction in which its owner's rows flow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dual_write.check import POLITE, Manners, Progress, Vantage, run_check
from dual_write.check_flow import flow_between
from dual_write.check_pace import STATEMENT_SECONDS
from dual_write.check_result import CheckResult, Finding
from dual_write.check_sample import Sample
from dual_write.database import open_engine
from dual_write.errors import SchemaError
from dual_write.flows import flows
from dual_write.mapping import TableFlow, TableMapping
from dual_write.replication import Replication
from dual_write.spool import Joined
from flags.side import Side
from migration.check_history import Scope, known_marks
from migration.check_memory import Resumption, resumption
from migration.check_throttle import Load, Throttle
from migration.control import Control
from migration.doctor_databases import reach
from migration.observations import CheckRun, Observations
from migration.soundness import SOUND, Soundness, soundness
from migration.stages import PhaseRecord, Stage
from migration.wiring import Wiring

SETTLE_SECONDS = 30.0
_REMEMBERED = 1_000
"""So many findings of each table are kept with the run."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The check of one phase: a result for each direction that has tables, and what rows do not show."""

    phase: str
    results: Sequence[tuple[Side, CheckResult]]
    soundness: Soundness = SOUND
    scope: Scope = Scope.WHOLE
    compared: str = ""
    repaired: int = 0

    @property
    def clean(self) -> bool:
        return all(result.clean for _, result in self.results) and not self.soundness.problems

    @property
    def rows(self) -> int:
        return sum(result.rows for _, result in self.results)

    @property
    def findings(self) -> Sequence[Finding]:
        return Joined(result.findings for _, result in self.results)

    @property
    def seconds(self) -> float:
        return sum(result.seconds for _, result in self.results)

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """Plain values, ready for ``json.dumps``; with at most so many findings of each table."""
        return {
            "phase": self.phase,
            "clean": self.clean,
            "scope": self.scope,
            "compared": self.compared,
            "repaired": self.repaired,
            "marks": {
                to: [result.mark.source, result.mark.target] for to, result in self.results if result.mark
            },
            "rows": self.rows,
            "findings": len(self.findings),
            "seconds": round(self.seconds, 3),
            "directions": [{"to": to, **result.to_json(most)} for to, result in self.results],
            "invariants": [result.to_json() for result in self.soundness.invariants],
            "sequences_behind": [str(each) for each in self.soundness.behind],
            "references": [result.to_json() for result in self.soundness.references],
        }


def check_phase(
    wiring: Wiring,
    phase: str,
    *,
    progress: Progress | None = None,
    table: str | None = None,
    limit: int | None = None,
    manners: Manners | None = None,
    fresh: bool = False,
    since: bool = False,
    sample: Sample | None = None,
    snapshot: bool = False,
    repaired: int = 0,
) -> CheckReport:
    """Compare both sides of a phase while they are written to, and remember the verdict for the gates.

    Without ``manners`` it has those of the plan; below full speed it pauses while replication lags behind
    what the plan's gates allow, or while the databases answer late. ``table`` and ``limit`` narrow the check;
    one of a single table opens no gate and is not remembered.
    A check that was killed is gone on with, unless it is narrowed or ``fresh``: its verdict is as old as
    its first beginning. With ``since`` only those keys are compared that changed behind the last check, if
    that was clean, or else everything. With ``snapshot`` each side is read as of one moment.
    Raises DataError when the check could not be carried through, and MigrationError for an unknown phase.
    """
    record = wiring.control.phase(phase)
    manners = manners or planned_manners(wiring, phase)
    marks = known_marks(wiring.control, phase, _compared(wiring, record)) if since and not sample else {}
    scope = Scope.SAMPLE if sample else Scope.SINCE if marks else Scope.WHOLE
    narrowed = table is not None or limit is not None or record.stage is Stage.OFF
    whole = scope is Scope.WHOLE and not narrowed
    with (
        wiring.replicating(phase) as replication,
        _remembered(wiring, record, whole and not snapshot, fresh) as memory,
    ):
        mappings = replication.mappings

        load = Load(wiring.plan.phase(phase).gates.max_lag_seconds)

        def throttled(to: Side) -> Progress | None:
            if manners.full_speed or record.stage is Stage.OFF:
                return progress
            return Throttle(lambda: replication.lag(to), load, progress)

        results = [
            (
                to,
                _compare(
                    wiring,
                    replication,
                    record,
                    to,
                    compared,
                    progress=throttled(to),
                    table=table,
                    limit=limit,
                    manners=manners,
                    memory=None if memory is None else memory.towards(to),
                    since=marks.get(to),
                    sample=sample,
                    snapshot=snapshot,
                ),
            )
            for to, compared in flows_of(mappings, record).items()
            if table is None or any(table in flow.tables for flow in compared)
        ]
        sound = _soundness(wiring, replication, record, manners) if whole and mappings else SOUND
        if table is not None and not results:
            names = ", ".join(sorted(mapping.monolith for mapping in mappings))
            raise SchemaError(f"phase {phase!r} has no table {table!r}. It has: {names}.")
        report = CheckReport(phase, results, sound, scope, _compared(wiring, record), repaired)
        if table is None:
            Observations(wiring.control).add_check(_run(report, _began(wiring.control, report, memory)))
        if memory is not None:
            memory.forget()
    return report


def planned_manners(
    wiring: Wiring, phase: str, *, share: int | None = None, seconds: int = STATEMENT_SECONDS
) -> Manners:
    """With another percentage of the time than the plan's, if it is given."""
    return Manners((share or wiring.plan.phase(phase).check.share) / 100, seconds)


@contextmanager
def _remembered(wiring: Wiring, record: PhaseRecord, whole: bool, fresh: bool) -> Iterator[Resumption | None]:
    if not whole:
        yield None
        return
    compared = f"{_compared(wiring, record)} {record.stage_since}"
    with resumption(wiring.control, record.name, compared, fresh=fresh) as memory:
        yield memory


def _compared(wiring: Wiring, record: PhaseRecord) -> str:
    """What a mark is good for: another plan, or another writer, and it says nothing."""
    return f"{wiring.plan.hash} {record.epoch}"


def _began(control: Control, report: CheckReport, memory: Resumption | None) -> float:
    if memory is not None:
        return memory.started
    with control.read() as connection:
        return control.now(connection) - report.seconds


def check_databases(
    source: str,
    target: str,
    table: str,
    *,
    named: str | None = None,
    ignore: Sequence[str] = (),
    progress: Progress | None = None,
    limit: int | None = None,
    manners: Manners = POLITE,
    snapshot: bool = False,
) -> CheckResult:
    """Compare a table of two databases, given by URL, without a plan; see `flow_between` for which columns.

    Nothing is known of changes on their way, so the verdict holds only if nothing wrote meanwhile.
    Raises DataError as `run_check`, and for a URL that cannot be used.
    """
    ours, theirs = open_engine(source), open_engine(target)
    try:
        reach(ours)
        reach(theirs)
        flow = flow_between(ours, theirs, table, named=named, ignore=ignore)
        vantage = Vantage(snapshot)
        return run_check(
            ours, theirs, [flow], progress=progress, limit=limit, manners=manners, vantage=vantage
        )
    finally:
        ours.dispose()
        theirs.dispose()


def flows_of(mappings: Sequence[TableMapping], record: PhaseRecord) -> dict[Side, list[TableFlow]]:
    """The flows to compare, by the side they end on: the writer's other side, or for following tables the
    service. While writes are split, one direction finds what the other would. Once a phase is complete its
    moved tables live on one side alone.
    """
    compared: dict[Side, list[TableFlow]] = {}
    following = [mapping for mapping in mappings if mapping.follow]
    moved = [mapping for mapping in mappings if not mapping.follow]
    for end, group in ((record.writer.other, moved), (Side.SERVICE, following)):
        if group and (group is following or record.stage is not Stage.COMPLETE):
            compared.setdefault(end, []).extend(flows(group, end))
    return compared


def _compare(
    wiring: Wiring,
    replication: Replication,
    record: PhaseRecord,
    to: Side,
    compared: Sequence[TableFlow],
    *,
    snapshot: bool,
    **how: Any,
) -> CheckResult:
    replicated = record.stage is not Stage.OFF
    with (
        wiring.engines(record.name, to) as (source, target),
        wiring.vantage(record.name, to, snapshot=snapshot) as vantage,
    ):
        return run_check(
            source,
            target,
            compared,
            settle=(lambda: _settled(replication, record, to)) if replicated else None,
            changes=replication.changes(to) if replicated else None,
            vantage=vantage,
            **how,
        )


def _soundness(wiring: Wiring, replication: Replication, record: PhaseRecord, manners: Manners) -> Soundness:
    to = record.writer.other
    if record.stage is Stage.COMPLETE:
        return soundness(wiring, record.name, replication.mappings, None, manners)
    settle = lambda: _settled(replication, record, to)  # noqa: E731
    found = soundness(wiring, record.name, replication.mappings, settle, manners)
    # While writes are split each side numbers its own rows, whatever the other has come to.
    return found if record.split else replace(found, behind=replication.sequences_behind(record.writer))


def _settled(replication: Replication, record: PhaseRecord, to: Side) -> bool:
    """While writes are split, a row may be on its way in either direction."""
    ends = tuple(Side) if record.split else (to,)
    return all(replication.settle(end, SETTLE_SECONDS) for end in ends)


def _run(report: CheckReport, started: float) -> CheckRun:
    return CheckRun(
        phase=report.phase,
        clean=report.clean,
        rows=report.rows,
        findings=len(report.findings)
        + sum(result.undecided for _, result in report.results)
        + report.soundness.problems,
        covers="; ".join([*(result.covers for _, result in report.results), report.soundness.covers]),
        started=started,
        seconds=report.seconds,
        detail=report.to_json(_REMEMBERED),
    )
