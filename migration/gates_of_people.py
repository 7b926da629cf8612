"""The gates that wait for time and people: soak, confirmations, approvals, a look at a take-back. Pure."""

from collections.abc import Sequence

from migration.gate_facts import ConsentFact, Facts, GateVerdict, Limits, Verdict


def soak(facts: Facts, limits: Limits) -> GateVerdict | None:
    """How long the phase has to stay in its stage."""
    wanted = limits.soak.get(facts.stage.value)
    if wanted is None:
        return None
    reason = f"{span(facts.stage_seconds)} of {span(wanted)} in the stage {facts.stage} are over."
    if facts.stage_seconds < wanted:
        left = span(wanted - facts.stage_seconds)
        return GateVerdict("soak", Verdict.INCONCLUSIVE, reason, f"Wait for another {left}.")
    return GateVerdict("soak", Verdict.PASS, reason)


def guard(facts: Facts, _: Limits) -> GateVerdict | None:
    """Whether somebody has looked at what the guard took back."""
    return _looked_at(facts.phase, facts.taken_back)


def confirmations(facts: Facts, _: Limits) -> GateVerdict | None:
    """The points of the plan that a person has to look at."""
    return None if facts.consent is None else _confirmed(facts.phase, facts.consent)


def approvals(facts: Facts, _: Limits) -> GateVerdict | None:
    """Other people than the one who runs the step."""
    return None if facts.consent is None else _approved(facts.phase, facts.consent)


def of_people(phase: str, consent: ConsentFact, taken_back: str | None = None) -> Sequence[GateVerdict]:
    """The gates before a greater share of the reads, which ask nothing but people."""
    found = (_looked_at(phase, taken_back), _confirmed(phase, consent), _approved(phase, consent))
    return [verdict for verdict in found if verdict is not None]


def _looked_at(phase: str, taken_back: str | None) -> GateVerdict | None:
    if taken_back is None:
        return None
    return GateVerdict(
        "guard",
        Verdict.FAIL,
        f"the guard has taken the reads back: {taken_back}",
        f"See `strangler guard show {phase}`, and then run `strangler guard acknowledge {phase}`.",
    )


def _confirmed(phase: str, consent: ConsentFact) -> GateVerdict | None:
    said = consent.confirmed
    if not said:
        return None
    step = consent.step.partition(" ")[0]  # a point holds for every share
    if missing := [point for point, who in said.items() if who is None]:
        named = "; ".join(f"“{point}”" for point in missing)
        return GateVerdict(
            "confirmations",
            Verdict.INCONCLUSIVE,
            f"nobody has confirmed {named}.",
            f"Look, and then run `strangler confirm {phase} {step} '{missing[0]}'`.",
        )
    people = sorted({who for who in said.values() if who is not None})
    return GateVerdict(
        "confirmations", Verdict.PASS, f"all {len(said)} points are confirmed, by {', '.join(people)}."
    )


def _approved(phase: str, consent: ConsentFact) -> GateVerdict | None:
    if not consent.needed:
        return None
    got = f"approved by {', '.join(consent.approved)}" if consent.approved else "nobody has approved it"
    reason = f"{len(consent.approved)} of {consent.needed} approvals: {got}"
    if consent.own:
        reason += ", besides whoever runs it, which does not count"
    if len(consent.approved) >= consent.needed:
        return GateVerdict("approvals", Verdict.PASS, f"{reason}.")
    remedy = f"Somebody else has to run `strangler approve {phase} {consent.step}`."
    return GateVerdict("approvals", Verdict.INCONCLUSIVE, f"{reason}.", remedy)


def span(seconds: float) -> str:
    """A time span in words, in the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
