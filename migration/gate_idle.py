"""The gate that asks whether anything still reaches the monolith: clients, writes past the facade. Pure."""

from migration.gate_facts import Facts, GateVerdict, IdleFact, Limits, Verdict
from migration.gates_of_people import span

NAME = "idle"
_STRAYS = "Its log has user and statement: let that job write through the facade."


def idle(facts: Facts, limits: Limits) -> GateVerdict | None:
    """For so long no route of the phase was answered by the monolith, and no stray write refused there."""
    wanted, seen = limits.min_idle_seconds, facts.idle
    if not wanted:
        return None
    if seen is None:
        return GateVerdict(NAME, Verdict.INCONCLUSIVE, "nothing was counted yet.", "The phase must be live.")
    ages = (facts.stage_seconds, seen.hit_seconds, seen.stray_seconds)
    since = min(age for age in ages if age is not None)
    if since >= wanted and not seen.unseen:
        blind = " Of refused writes its database keeps no trace." if seen.blind else ""
        return GateVerdict(NAME, Verdict.PASS, f"nothing has reached the monolith for {span(since)}.{blind}")
    verdict, reason, remedy = _closed(seen, since)
    left = wanted if seen.unseen else wanted - since
    wait = f"Wait for another {span(left)}, or run `strangler complete {facts.phase} --force-idle 'WHY'`."
    return GateVerdict(NAME, verdict, f"{reason}; the limit is {span(wanted)} without.", f"{remedy}{wait}")


def _closed(seen: IdleFact, since: float) -> tuple[Verdict, str, str]:
    """What reached it last, and what to do about that."""
    if seen.unseen:
        reason = f"the monolith's database refused {seen.unseen} writes past the facade just now"
        return Verdict.FAIL, reason, f"{_STRAYS} "
    if seen.hit_seconds is not None and seen.hit_seconds <= since:
        reason = f"the monolith answered {seen.hit} {span(seen.hit_seconds)} ago"
        return Verdict.FAIL, reason, "Find out why it was asked. "
    if seen.stray_seconds is not None and seen.stray_seconds <= since:
        reason = f"the monolith's database refused a write past the facade {span(seen.stray_seconds)} ago"
        return Verdict.FAIL, reason, f"{_STRAYS} "
    return Verdict.INCONCLUSIVE, f"nothing has reached the monolith in {span(since)} of being live", ""
