"""The gates that wait for time and for people: soak, confirmations, approvals. Pure."""

from migration.gate_facts import Facts, GateVerdict, Limits, Verdict


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


def confirmations(facts: Facts, _: Limits) -> GateVerdict | None:
    """The points of the plan that a person has to look at."""
    if facts.consent is None or not facts.consent.confirmed:
        return None
    said = facts.consent.confirmed
    step = facts.consent.step.partition(" ")[0]  # a point holds for every share
    if missing := [point for point, who in said.items() if who is None]:
        named = "; ".join(f"“{point}”" for point in missing)
        return GateVerdict(
            "confirmations",
            Verdict.INCONCLUSIVE,
            f"nobody has confirmed {named}.",
            f"Look, and then run `strangler confirm {facts.phase} {step} '{missing[0]}'`.",
        )
    people = sorted({who for who in said.values() if who is not None})
    return GateVerdict(
        "confirmations", Verdict.PASS, f"all {len(said)} points are confirmed, by {', '.join(people)}."
    )


def approvals(facts: Facts, _: Limits) -> GateVerdict | None:
    """Other people than the one who runs the step."""
    consent = facts.consent
    if consent is None or not consent.needed:
        return None
    got = f"approved by {', '.join(consent.approved)}" if consent.approved else "nobody has approved it"
    reason = f"{len(consent.approved)} of {consent.needed} approvals: {got}"
    if consent.own:
        reason += ", besides whoever runs it, which does not count"
    if len(consent.approved) >= consent.needed:
        return GateVerdict("approvals", Verdict.PASS, f"{reason}.")
    remedy = f"Somebody else has to run `strangler approve {facts.phase} {consent.step}`."
    return GateVerdict("approvals", Verdict.INCONCLUSIVE, f"{reason}.", remedy)


def span(seconds: float) -> str:
    """A time span in words, in the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
