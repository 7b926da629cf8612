"""What must hold before a stage may advance; each gate says why it is closed and what opens it. Pure.

A gate *fails* on what is known to be wrong. What cannot be told yet (a database out of reach, too little
traffic, nobody who has approved) is *inconclusive*: as closed, but no sign that anything is bad.
"""

from collections.abc import Callable

from migration.gate_facts import CheckFact, ConsentFact, Facts, GateVerdict, Limits, Step, Verdict
from migration.gate_idle import idle
from migration.gates_of_people import approvals, confirmations, guard, soak
from migration.gates_of_reads import errors, latency
from migration.intervals import matching_needed, wilson
from migration.stages import Stage

__all__ = ["CheckFact", "ConsentFact", "Facts", "GateVerdict", "Limits", "Step", "Verdict", "gates"]

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE

Gate = Callable[[Facts, Limits], GateVerdict | None]
"""None where the plan does not ask for it."""


def gates(step: Step | Stage, facts: Facts, limits: Limits) -> list[GateVerdict]:
    """The verdict of every gate before a step, in the order in which one would open them."""
    spared = (_NONE if facts.moves_data else _OF_DATA) | (_NONE if facts.reads else _OF_READS)
    to = step.to if isinstance(step, Step) else step
    found = [gate(facts, limits) for gate in _GATES.get(to, ()) if gate not in spared]
    return [verdict for verdict in found if verdict is not None]


def _backfill(facts: Facts, _: Limits) -> GateVerdict:
    if facts.backfilled:
        return GateVerdict("backfill", PASS, "every table is copied.")
    run = f"Run `strangler sync {facts.phase}`."
    if facts.trouble is not None:
        return GateVerdict("backfill", INCONCLUSIVE, facts.trouble, run)
    return GateVerdict("backfill", FAIL, "not every row that was there before capture is copied.", run)


def _lag(facts: Facts, limits: Limits) -> GateVerdict:
    if facts.lag_seconds is None:
        reason = facts.trouble or "the replication lag cannot be read."
        return GateVerdict("lag", INCONCLUSIVE, reason, "Both databases must be reachable.")
    reason = f"{facts.lag_changes} changes wait, the oldest for {facts.lag_seconds:.1f} s"
    if not facts.lag_changes:
        return GateVerdict("lag", PASS, "no change waits.")
    if facts.lag_seconds > limits.max_lag_seconds:
        return GateVerdict(
            "lag",
            FAIL,
            f"{reason}; the limit is {limits.max_lag_seconds:g} s.",
            "See that `strangler relay` runs, and give it time.",
        )
    return GateVerdict("lag", PASS, f"{reason}.")


def _parked(facts: Facts, _: Limits) -> GateVerdict:
    if facts.parked == 0:
        return GateVerdict("parked", PASS, "no change is parked.")
    return GateVerdict(
        "parked",
        FAIL,
        f"{facts.parked} changes could not be applied and are parked.",
        "`strangler status` names their errors; mend the cause, and the relay retries them.",
    )


def _schema(facts: Facts, _: Limits) -> GateVerdict:
    if not facts.drift:
        return GateVerdict("schema", PASS, "the tables are as they were when capture began.")
    more = f" ({len(facts.drift) - 1} more)" if len(facts.drift) > 1 else ""
    return GateVerdict(
        "schema", FAIL, f"{facts.drift[0]}{more}.", f"`strangler doctor {facts.phase}` names all of it."
    )


def _check(facts: Facts, limits: Limits) -> GateVerdict:
    run = f"Run `strangler check {facts.phase}`."
    if facts.check is None:
        return GateVerdict("check", INCONCLUSIVE, "the two sides were never compared.", run)
    if not facts.check.clean:
        return GateVerdict(
            "check",
            FAIL,
            f"the last check left {facts.check.findings} findings.",
            f"Run `strangler check {facts.phase} --repair`.",
        )
    age = f"the last check was clean over {facts.check.rows} rows, {facts.check.age_seconds:.0f} s ago"
    if facts.check.age_seconds > limits.max_check_age_seconds:
        limit = f"the limit is {limits.max_check_age_seconds:g} s"
        return GateVerdict("check", INCONCLUSIVE, f"{age}; {limit}.", run)
    return GateVerdict("check", PASS, f"{age}.")


def _invariants(facts: Facts, _: Limits) -> GateVerdict | None:
    if not facts.invariants:
        return None
    run = f"Run `strangler check {facts.phase}`."
    check = facts.check
    if unasked := [name for name in facts.invariants if check is None or name not in check.asked]:
        named = ", ".join(unasked)
        return GateVerdict("invariants", INCONCLUSIVE, f"no check has asked {named} yet.", run)
    broken = {} if check is None else {n: check.broken[n] for n in facts.invariants if n in check.broken}
    if broken:
        named = ", ".join(f"{name} ({said})" for name, said in broken.items())
        return GateVerdict(
            "invariants", FAIL, f"did not hold at the last check: {named}.", f"Mend the cause. {run}"
        )
    return GateVerdict("invariants", PASS, f"all {len(facts.invariants)} held at the last check.")


def _match(facts: Facts, limits: Limits) -> GateVerdict:
    if facts.compared < limits.min_samples:
        remedy = "Wait for more traffic in the stage shadow, or lower gates.min_samples in the plan."
        reason = f"only {facts.compared} of at least {limits.min_samples} reads were compared."
        if not facts.mirrored:
            reason += " None is mirrored now."
            remedy = f"Run `strangler flags set {facts.phase}.shadow 100`."
        return GateVerdict("shadow", INCONCLUSIVE, reason, remedy)
    limit = limits.min_match_rate
    low, high = wilson(facts.matched, facts.compared)
    if limit == 1.0:  # no number of comparisons would prove it
        low = high = float(facts.matched == facts.compared)
    rate = facts.matched / facts.compared if facts.compared else 1.0
    reason = f"{facts.matched} of {facts.compared} compared reads agree ({rate:.2%})"
    shows = f"`strangler shadow {facts.phase}` shows what differs."
    if facts.compared and high < limit:
        return GateVerdict("shadow", FAIL, f"{reason}; the limit is {limit:.2%}.", shows)
    if limits.min_samples == 0:
        return GateVerdict("shadow", PASS, f"{reason}; the plan asks for no more.")
    if low < limit:
        reason += f", which may be as few as {low:.2%} of all reads; the limit is {limit:.2%}."
        more = matching_needed(facts.matched, facts.compared, limit)
        if more is None:
            return GateVerdict("shadow", INCONCLUSIVE, reason, shows)
        return GateVerdict(
            "shadow", INCONCLUSIVE, reason, f"Wait for {more} more that agree, if none differs. {shows}"
        )
    return GateVerdict("shadow", PASS, f"{reason}, and of all reads no fewer than {low:.2%}.")


def _workers(facts: Facts, _: Limits) -> GateVerdict:
    if facts.late_workers:
        return GateVerdict(
            "workers",
            FAIL,
            f"{', '.join(facts.late_workers)} lags behind the control database.",
            "`strangler status` shows each worker; restart one that is stuck.",
        )
    return GateVerdict("workers", PASS, f"all {facts.workers} workers serve the current state.")


def _reverse(facts: Facts, _: Limits) -> GateVerdict:
    if facts.irreversible is not None:
        return GateVerdict(
            "reverse", FAIL, facts.irreversible, "Without a way back, a rollback would lose writes."
        )
    return GateVerdict("reverse", PASS, "every moved table can be carried back.")


_OF_DATA: frozenset[Gate] = frozenset({_backfill, _lag, _schema, _parked, _check, _reverse})
_OF_READS: frozenset[Gate] = frozenset({_match, errors, latency})
_NONE: frozenset[Gate] = frozenset()

_PEOPLE: tuple[Gate, ...] = (guard, confirmations, approvals)
_COPIED: tuple[Gate, ...] = (_backfill, _lag)
_ALIKE: tuple[Gate, ...] = (*_COPIED, _schema, _parked, _check, _invariants, _match, _workers)

_GATES: dict[str, tuple[Gate, ...]] = {
    Stage.SHADOW: (*_COPIED, soak, confirmations, approvals),
    Stage.RAMP: (*_ALIKE, soak, *_PEOPLE),
    "writes": (*_ALIKE, _reverse, *_PEOPLE),
    Stage.LIVE: (*_ALIKE, _reverse, errors, latency, soak, *_PEOPLE),
    Stage.COMPLETE: (_lag, _parked, _check, _invariants, _workers, errors, soak, idle, *_PEOPLE),
}
"""By what a step leads to: a stage, or a greater share of the writes; reads ask `gates_of_people`."""
