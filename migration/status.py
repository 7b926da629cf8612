"""Where the whole migration stands, gathered from the control database, ready to be shown or sent as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from dual_write.drift import Drift
from dual_write.errors import DataError
from dual_write.parking import Parked
from dual_write.replication import Replication
from flags.percent import FULL
from flags.side import Side
from flags.snapshot import FlagSnapshot
from flags.store import EmbeddedStore
from migration.actor import this_actor
from migration.consents import Consents
from migration.control import Control
from migration.evidence import agreement
from migration.facts import drift_of, gather, limits
from migration.following import Home, home
from migration.gate_facts import GateVerdict, Step
from migration.gates import gates
from migration.hooks import Hooks
from migration.journal import Journal
from migration.observations import CheckRun, Heartbeat, Observations
from migration.plan import Phase, Plan
from migration.ramp_steps import Stepped, read_steps
from migration.stages import PhaseRecord, Stage, forward
from migration.strangled import Strangled, read_strangled
from migration.takebacks import open_takeback
from migration.walk_journal import WalkStatus, last_walk
from migration.workers import ControlWorkers, LiveWorker


@dataclass(frozen=True, slots=True)
class MatchStatus:
    """Shadow comparisons since the phase entered shadow: the rate from 0 to 1 with its 95 % interval."""

    compared: int
    matched: int
    rate: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PhaseStatus:
    """One phase. While writes are ``split``, both sides take them. ``shares`` are its flags in ‱,
    and everything once it is complete and has none; ``replication`` is what the relay last said; ``parked``
    are the changes that a side which follows would not take, with the reason; ``drift`` is what has changed
    of the tables since capture began.

    ``taken_back`` says why the guard took the reads back, until somebody has looked; ``steps`` how far the
    stepped ramp is. ``interrupted`` names a run that has not ended, ``walk`` is the last walk through the
    runbook, and ``gates`` are those on the way to ``next``.
    """

    name: str
    stage: Stage
    writer: Side
    epoch: int
    split: bool
    held: bool
    since: float
    shares: Mapping[str, int]
    replication: Sequence[Heartbeat]
    parked: Sequence[Parked]
    drift: Sequence[Drift]
    match: MatchStatus
    check: CheckRun | None
    check_age_seconds: float | None
    taken_back: str | None
    steps: Stepped | None
    interrupted: str | None
    walk: WalkStatus | None
    next: Stage | None
    gates: Sequence[GateVerdict]


@dataclass(frozen=True, slots=True)
class Status:
    """The migration. ``degraded`` says, per worker that serves what may be old, why. ``flags`` is how the
    Unleash server that keeps them is followed, None without one.
    """

    revision: int
    phases: Sequence[PhaseStatus]
    workers: Sequence[LiveWorker]
    degraded: Mapping[str, str]
    strangled: Strangled
    flags: Home | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def read_status(
    plan: Plan, control: Control, replications: Mapping[str, Replication] | None = None
) -> Status:
    """The status now. The gates on data ask ``replications``, by phase, and are closed without one."""
    workers = ControlWorkers(control).live_workers()
    records = control.phases()
    interrupted = {run.phase: f"{run.kind} since {run.started:.0f}" for run in Journal(control).unfinished()}
    return Status(
        revision=control.revision(),
        phases=[
            _phase(
                plan,
                control,
                phase,
                records.get(phase.name, PhaseRecord(phase.name)),
                (replications or {}).get(phase.name),
                interrupted.get(phase.name),
            )
            for phase in plan.phases
        ],
        workers=workers,
        degraded={w.status.worker: w.status.degraded for w in workers if w.status.degraded is not None},
        strangled=read_strangled(plan, control),
        flags=None if plan.flags.unleash is None else home(control, plan.flags.unleash.url),
    )


def _phase(
    plan: Plan,
    control: Control,
    phase: Phase,
    record: PhaseRecord,
    replication: Replication | None,
    interrupted: str | None,
) -> PhaseStatus:
    observations = Observations(control)
    flags = EmbeddedStore(control.engine).snapshot()
    shadow = agreement(control, phase.name, record.evidence_since)
    low, high = shadow.interval
    check = observations.last_check(phase.name)
    move = forward(record.stage)
    drift = drift_of(record, replication)
    with control.read() as connection:
        taken_back, steps = open_takeback(connection, phase.name), read_steps(connection, phase.name)
    verdicts: Sequence[GateVerdict] = ()
    if move is not None:
        consent = Consents(control, plan).fact(phase, Step(move.target), this_actor())
        facts = gather(control, phase, record, replication, drift, consent)
        hooks = Hooks(plan, control, this_actor()).last(phase, Step(move.target))
        verdicts = [*gates(move.target, facts, limits(phase)), *hooks]
    return PhaseStatus(
        name=phase.name,
        stage=record.stage,
        writer=record.writer,
        epoch=record.epoch,
        split=record.split,
        held=record.hold is not None,
        since=record.stage_since,
        shares={kind: _share(flags, record, kind) for kind in ("reads", "writes", "shadow")},
        replication=observations.heartbeats(phase.name),
        parked=_parked(record, replication),
        drift=drift,
        match=MatchStatus(shadow.compared, shadow.matched, shadow.match_rate, low, high),
        check=None if check is None else check[0],
        check_age_seconds=None if check is None else check[1],
        taken_back=None if taken_back is None else taken_back.reason,
        steps=steps,
        interrupted=interrupted,
        walk=last_walk(control, phase.name),
        next=None if move is None else move.target,
        gates=verdicts,
    )


def _share(flags: FlagSnapshot, record: PhaseRecord, kind: str) -> int:
    if record.stage is Stage.COMPLETE:
        return 0 if kind == "shadow" else FULL
    return flags.share(f"{record.name}.{kind}")


def _parked(record: PhaseRecord, replication: Replication | None) -> Sequence[Parked]:
    """None of a database that cannot be asked: the gates say that it cannot."""
    if replication is None or record.stage is Stage.OFF:
        return ()
    try:
        return [entry for writer in record.writers for entry in replication.parked(writer.other)]
    except (DataError, SQLAlchemyError):
        return ()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, frozenset, set)):
        return [_plain(item) for item in value]
    return value
