"""A phase's consistency check: every table, in the direction in which its owner's rows flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dual_write.check import Manners, Progress, run_check
from dual_write.check_flow import flow_between
from dual_write.check_result import CheckResult, Finding
from dual_write.database import open_engine
from dual_write.errors import SchemaError
from dual_write.mapping import TableFlow, TableMapping
from dual_write.replication import Replication
from flags.side import Side
from migration.doctor_databases import reach
from migration.observations import CheckRun, Observations
from migration.stages import PhaseRecord, Stage
from migration.wiring import Wiring

SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The check of one phase: a result for each direction that has tables."""

    phase: str
    results: Sequence[tuple[Side, CheckResult]]

    @property
    def clean(self) -> bool:
        return all(result.clean for _, result in self.results)

    @property
    def rows(self) -> int:
        return sum(result.rows for _, result in self.results)

    @property
    def findings(self) -> list[Finding]:
        return [finding for _, result in self.results for finding in result.findings]

    @property
    def seconds(self) -> float:
        return sum(result.seconds for _, result in self.results)

    def to_json(self) -> dict[str, Any]:
        """Plain values, ready for ``json.dumps``."""
        return {
            "phase": self.phase,
            "clean": self.clean,
            "rows": self.rows,
            "findings": len(self.findings),
            "seconds": round(self.seconds, 3),
            "directions": [{"to": to, **result.to_json()} for to, result in self.results],
        }


def check_phase(
    wiring: Wiring,
    phase: str,
    *,
    progress: Progress | None = None,
    table: str | None = None,
    limit: int | None = None,
    manners: Manners = Manners(),  # noqa: B008 - it is frozen
) -> CheckReport:
    """Compare both sides of a phase while they are written to, and remember the verdict for the gates.

    ``table`` and ``limit`` narrow the check; a check of one table alone opens no gate and is not remembered.
    Raises DataError when the check could not be carried through, and MigrationError for an unknown phase.
    """
    record = wiring.control.phase(phase)
    with wiring.replicating(phase) as replication:
        mappings = replication.mappings
        results = [
            (to, _compare(wiring, replication, record, to, flows, progress, table, limit, manners))
            for to, flows in flows_of(mappings, record).items()
            if table is None or any(table in (flow.source, flow.target) for flow in flows)
        ]
    if table is not None and not results:
        names = ", ".join(sorted(mapping.monolith for mapping in mappings))
        raise SchemaError(f"phase {phase!r} has no table {table!r}. It has: {names}.")
    report = CheckReport(phase, results)
    if table is None:
        with wiring.control.read() as connection:
            started = wiring.control.now(connection) - report.seconds
        Observations(wiring.control).add_check(_run(report, started))
    return report


def check_databases(
    source: str,
    target: str,
    table: str,
    *,
    named: str | None = None,
    ignore: Sequence[str] = (),
    progress: Progress | None = None,
    limit: int | None = None,
    manners: Manners = Manners(),  # noqa: B008 - it is frozen
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
        return run_check(ours, theirs, [flow], progress=progress, limit=limit, manners=manners)
    finally:
        ours.dispose()
        theirs.dispose()


def flows_of(mappings: Sequence[TableMapping], record: PhaseRecord) -> dict[Side, list[TableFlow]]:
    """The flows to compare, by the side they end on: the writer's other side, or for following tables the
    service. While writes are split, one direction finds what the other would. Once a phase is complete its
    moved tables live on one side alone.
    """
    flows: dict[Side, list[TableFlow]] = {}
    for mapping in mappings:
        if record.stage is Stage.COMPLETE and not mapping.follow:
            continue
        end = Side.SERVICE if mapping.follow else record.writer.other
        flows.setdefault(end, []).append(mapping.towards(end))
    return flows


def _compare(
    wiring: Wiring,
    replication: Replication,
    record: PhaseRecord,
    to: Side,
    flows: Sequence[TableFlow],
    progress: Progress | None,
    table: str | None,
    limit: int | None,
    manners: Manners,
) -> CheckResult:
    replicated = record.stage is not Stage.OFF
    with wiring.engines(record.name, to) as (source, target):
        return run_check(
            source,
            target,
            flows,
            settle=(lambda: _settled(replication, record, to)) if replicated else None,
            progress=progress,
            table=table,
            limit=limit,
            manners=manners,
        )


def _settled(replication: Replication, record: PhaseRecord, to: Side) -> bool:
    """While writes are split, a row may be on its way in either direction."""
    ends = tuple(Side) if record.split else (to,)
    return all(replication.settle(end, SETTLE_SECONDS) for end in ends)


def _run(report: CheckReport, started: float) -> CheckRun:
    return CheckRun(
        phase=report.phase,
        clean=report.clean,
        rows=report.rows,
        findings=len(report.findings) + sum(result.undecided for _, result in report.results),
        covers="; ".join(result.covers for _, result in report.results) or "no tables",
        started=started,
        seconds=report.seconds,
        detail=report.to_json(),
    )
