"""What must hold before a stage may advance; each gate says why it is closed and what opens it. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from migration.stages import Stage


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One gate. ``remedy`` says what would open it, and is empty while it is open."""

    name: str
    open: bool
    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The plan's limits: ages in seconds, the match rate from 0 to 1."""

    max_lag_seconds: float = 5.0
    max_check_age_seconds: float = 3600.0
    min_match_rate: float = 0.99
    min_samples: int = 100


@dataclass(frozen=True, slots=True)
class CheckFact:
    """The last consistency check."""

    clean: bool
    rows: int
    findings: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a phase now.

    ``moves_data`` and ``reads`` say whether it has tables and read routes at all. ``lag_*`` is None when it
    cannot be read; ``trouble`` says why. ``late_workers`` serve an older revision than the current one or
    are degraded. ``compared`` and ``matched`` count shadow comparisons since the phase last entered the
    stage shadow; ``mirrored`` is the share of reads that is mirrored now, in ‱. ``irreversible`` says why
    the phase's rows could not be carried back, ``drift`` what changed of the tables since capture began.
    """

    phase: str
    moves_data: bool
    reads: bool
    backfilled: bool
    lag_changes: int | None
    lag_seconds: float | None
    parked: int
    trouble: str | None
    check: CheckFact | None
    compared: int
    matched: int
    mirrored: int
    workers: int
    late_workers: Sequence[str]
    irreversible: str | None
    drift: Sequence[str] = ()


def gates(target: Stage, facts: Facts, limits: Limits) -> list[GateVerdict]:
    """The verdict of every gate on the way to ``target``, in the order in which one would open them."""
    spared = (_NONE if facts.moves_data else _OF_DATA) | (_NONE if facts.reads else _OF_READS)
    return [gate(facts, limits) for gate in _GATES.get(target, ()) if gate not in spared]


def _backfill(facts: Facts, _: Limits) -> GateVerdict:
    if facts.backfilled:
        return GateVerdict("backfill", True, "every table is copied.")
    reason = facts.trouble or "not every row that was there before capture is copied."
    return GateVerdict("backfill", False, reason, f"Run `strangler sync {facts.phase}`.")


def _lag(facts: Facts, limits: Limits) -> GateVerdict:
    if facts.lag_seconds is None:
        reason = facts.trouble or "the replication lag cannot be read."
        return GateVerdict("lag", False, reason, "Both databases must be reachable.")
    reason = f"{facts.lag_changes} changes wait, the oldest for {facts.lag_seconds:.1f} s"
    if not facts.lag_changes:
        return GateVerdict("lag", True, "no change waits.")
    if facts.lag_seconds > limits.max_lag_seconds:
        return GateVerdict(
            "lag",
            False,
            f"{reason}; the limit is {limits.max_lag_seconds:g} s.",
            "See that `strangler relay` runs, and give it time.",
        )
    return GateVerdict("lag", True, f"{reason}.")


def _parked(facts: Facts, _: Limits) -> GateVerdict:
    if facts.parked == 0:
        return GateVerdict("parked", True, "no change is parked.")
    return GateVerdict(
        "parked",
        False,
        f"{facts.parked} changes could not be applied and are parked.",
        "`strangler status` names their errors; mend the cause, and the relay retries them.",
    )


def _schema(facts: Facts, _: Limits) -> GateVerdict:
    if not facts.drift:
        return GateVerdict("schema", True, "the tables are as they were when capture began.")
    more = f" ({len(facts.drift) - 1} more)" if len(facts.drift) > 1 else ""
    return GateVerdict(
        "schema", False, f"{facts.drift[0]}{more}.", f"`strangler doctor {facts.phase}` names all of it."
    )


def _check(facts: Facts, limits: Limits) -> GateVerdict:
    run = f"Run `strangler check {facts.phase}`."
    if facts.check is None:
        return GateVerdict("check", False, "the two sides were never compared.", run)
    if not facts.check.clean:
        return GateVerdict(
            "check",
            False,
            f"the last check left {facts.check.findings} findings.",
            f"Run `strangler check {facts.phase} --repair`.",
        )
    age = f"the last check was clean over {facts.check.rows} rows, {facts.check.age_seconds:.0f} s ago"
    if facts.check.age_seconds > limits.max_check_age_seconds:
        return GateVerdict("check", False, f"{age}; the limit is {limits.max_check_age_seconds:g} s.", run)
    return GateVerdict("check", True, f"{age}.")


def _match(facts: Facts, limits: Limits) -> GateVerdict:
    if facts.compared < limits.min_samples:
        remedy = "Wait for more traffic in the stage shadow, or lower gates.min_samples in the plan."
        reason = f"only {facts.compared} of at least {limits.min_samples} reads were compared."
        if not facts.mirrored:
            reason += " None is mirrored now."
            remedy = f"Run `strangler flags set {facts.phase}.shadow 100`."
        return GateVerdict("shadow", False, reason, remedy)
    rate = facts.matched / facts.compared if facts.compared else 1.0
    reason = f"{facts.matched} of {facts.compared} compared reads agree ({rate:.2%})"
    if rate < limits.min_match_rate:
        return GateVerdict(
            "shadow",
            False,
            f"{reason}; the limit is {limits.min_match_rate:.2%}.",
            f"`strangler shadow {facts.phase}` shows what differs.",
        )
    return GateVerdict("shadow", True, f"{reason}.")


def _workers(facts: Facts, _: Limits) -> GateVerdict:
    if facts.late_workers:
        return GateVerdict(
            "workers",
            False,
            f"{', '.join(facts.late_workers)} lags behind the control database.",
            "`strangler status` shows each worker; restart one that is stuck.",
        )
    return GateVerdict("workers", True, f"all {facts.workers} workers serve the current state.")


def _reverse(facts: Facts, _: Limits) -> GateVerdict:
    if facts.irreversible is not None:
        return GateVerdict(
            "reverse", False, facts.irreversible, "Without a way back, a rollback would lose writes."
        )
    return GateVerdict("reverse", True, "every moved table can be carried back.")


Gate = Callable[[Facts, Limits], GateVerdict]

_OF_DATA: frozenset[Gate] = frozenset({_backfill, _lag, _schema, _parked, _check, _reverse})

_OF_READS: frozenset[Gate] = frozenset({_match})
_NONE: frozenset[Gate] = frozenset()

_GATES: dict[Stage, tuple[Gate, ...]] = {
    Stage.SHADOW: (_backfill, _lag),
    Stage.RAMP: (_backfill, _lag, _schema, _parked, _check, _match, _workers),
    Stage.LIVE: (_backfill, _lag, _schema, _parked, _check, _match, _workers, _reverse),
    Stage.COMPLETE: (_lag, _parked, _check, _workers),
}
