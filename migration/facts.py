"""What is true of a phase now, gathered for the gates."""

import time
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from dual_write.drift import Drift
from dual_write.errors import DataError, MappingError
from dual_write.flows import flows
from dual_write.invariants import Holding
from dual_write.replication import Lag, Replication
from flags.side import Side
from flags.store import EmbeddedStore
from migration.check_history import vouching
from migration.control import Control
from migration.errors import WorkersLate
from migration.evidence import agreement
from migration.gate_facts import CheckFact, ConsentFact, Facts, IdleFact, Limits
from migration.observations import CheckRun
from migration.plan import Phase, Route
from migration.read_answers import Both
from migration.read_traffic import pair_of, told_since
from migration.stages import PhaseRecord, Stage
from migration.stray_writes import stray_writes
from migration.takebacks import WATCHED, judged_since, open_takeback
from migration.traffic import last_hits
from migration.workers import ControlWorkers

WORKER_PATIENCE_SECONDS = 0.5
"""How long a worker may take to serve the latest change before it counts as late."""


def limits(phase: Phase) -> Limits:
    """The plan's gates as the rules take them."""
    return Limits(
        max_lag_seconds=phase.gates.max_lag_seconds,
        max_check_age_seconds=phase.gates.max_check_age_seconds,
        min_match_rate=phase.gates.min_match_rate,
        min_samples=phase.gates.min_samples,
        min_reads=phase.gates.min_reads,
        guard=phase.guard,
        min_idle_seconds=phase.gates.min_idle_days * 86_400,
        soak={stage: seconds for stage, seconds in phase.gates.soak.items()},  # noqa: C416 - a wider type,
    )


def gather(
    control: Control,
    phase: Phase,
    record: PhaseRecord,
    replication: Replication | None,
    drift: Sequence[Drift],
    consent: ConsentFact | None = None,
) -> Facts:
    """Everything the gates may ask. Without ``replication`` its databases count as out of reach."""
    backfilled, parked = False, 0
    lag: Lag | None = None
    trouble: str | None = "no database was asked."
    if replication is not None:
        try:
            ends = [writer.other for writer in record.writers]
            lags = [replication.lag(to) for to in ends]
            lag = Lag(
                sum(each.changes for each in lags),
                max(each.seconds for each in lags),
                max(each.horizon_seconds for each in lags),
            )
            parked = sum(replication.accounts(to).parked for to in ends)
            backfilled = record.stage is not Stage.OFF and replication.backfilled()
            trouble = None
        except (DataError, SQLAlchemyError) as error:
            trouble = f"{error}."
    check = vouching(control, phase.name)
    shadow = agreement(control, phase.name, record.evidence_since)
    workers = ControlWorkers(control)
    answers, taken_back = reads_now(control, record)
    return Facts(
        phase=phase.name,
        moves_data=bool(phase.tables),
        reads=any(_reads(route) for route in phase.routes),
        backfilled=backfilled,
        lag_changes=None if lag is None else lag.changes,
        lag_seconds=None if lag is None else lag.seconds,
        parked=parked,
        trouble=trouble,
        check=None if check is None else _checked(*check),
        compared=shadow.compared,
        matched=shadow.matched,
        mirrored=EmbeddedStore(control.engine).snapshot().share(f"{phase.name}.shadow"),
        workers=len(workers.live_workers()),
        late_workers=_late(control, workers),
        irreversible=None if replication is None else _irreversible(replication),
        drift=tuple(each.text for each in drift),
        invariants=tuple(each.name for each in phase.invariants),
        stage=record.stage,
        stage_seconds=_since(control, record),
        consent=consent,
        answers=answers,
        taken_back=taken_back,
        idle=_idle(control, phase, replication) if record.stage is Stage.LIVE else None,
    )


def drift_of(record: PhaseRecord, replication: Replication | None) -> list[Drift]:
    """None of a database that cannot be asked: the gates say that it cannot."""
    if replication is None or record.stage in {Stage.OFF, Stage.COMPLETE}:
        return []
    try:
        return replication.drift(record.writer.other)
    except (DataError, SQLAlchemyError):
        return []


def reads_now(control: Control, record: PhaseRecord) -> tuple[Both | None, str | None]:
    """How both sides have answered the reads of a phase in this stage, and why the guard took them back."""
    with control.read() as connection:
        found = open_takeback(connection, record.name)
        taken_back = None if found is None else found.reason
        if record.stage not in WATCHED:
            return None, taken_back
        told = told_since(connection, [record.name], judged_since(connection, record))
    return pair_of(told), taken_back


def _checked(check: CheckRun, age_seconds: float) -> CheckFact:
    answers = {each["name"]: each for each in check.detail.get("invariants", ())}
    broken = {
        name: f"{each['holding']}: {each['said']}"
        for name, each in answers.items()
        if each["holding"] != Holding.HOLDS
    }
    return CheckFact(check.clean, check.rows, check.findings, age_seconds, frozenset(answers), broken)


def _idle(control: Control, phase: Phase, replication: Replication | None) -> IdleFact:
    """Also what the relay has not seen yet, if the monolith's database can be asked."""
    hit = next(iter(last_hits(control, phase.name)), None)
    strays = stray_writes(control, phase.name)
    try:
        refused = None if replication is None else replication.refused(Side.MONOLITH)
    except (DataError, SQLAlchemyError):
        refused = None
    known = 0 if strays is None else strays.refused
    return IdleFact(
        hit=None if hit is None else hit.route,
        hit_seconds=None if hit is None else hit.ago,
        stray_seconds=None if strays is None else strays.ago,
        unseen=0 if refused is None else max(0, refused - known),
        blind=bool(phase.tables) and refused is None,
    )


def _since(control: Control, record: PhaseRecord) -> float:
    with control.read() as connection:
        return max(0.0, control.now(connection) - record.stage_since)


def _reads(route: Route) -> bool:
    by_method = "read" if route.method in {"GET", "HEAD", "OPTIONS", "*"} else "write"
    return not route.retired and (route.kind or by_method) == "read"


def _late(control: Control, workers: ControlWorkers) -> tuple[str, ...]:
    try:
        workers.wait_for_revision(control.revision(), time.monotonic() + WORKER_PATIENCE_SECONDS)
    except WorkersLate as error:
        return error.workers
    return tuple(live.status.worker for live in workers.live_workers() if live.status.degraded is not None)


def _irreversible(replication: Replication) -> str | None:
    try:
        flows([mapping for mapping in replication.mappings if not mapping.follow], Side.MONOLITH)
    except MappingError as error:
        return str(error)
    return None
