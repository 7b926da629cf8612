"""The gates on how both sides have answered the reads of a ramp: errors and latency. Pure."""

from migration.gate_facts import Facts, GateVerdict, Limits, Verdict
from migration.ramp_verdict import FEWEST, FEWEST_TIMED, Judgement, judge_errors, judge_latency
from migration.read_answers import Both

ONE_LOOK = 0.001
"""The chance of closing a gate for nothing; it is not asked many times a second."""


def errors(facts: Facts, limits: Limits) -> GateVerdict | None:
    """Whether the service fails more reads than the monolith, or than the plan allows."""
    pair = facts.answers or Both()
    wanted = max(limits.min_reads, FEWEST if pair.service.answered else 0)
    if not wanted:
        return None
    if pair.service.answered < wanted and not pair.service.failed and not limits.min_reads:
        return None
    if pair.service.answered < limits.min_reads:
        reason = f"the service has answered {pair.service.answered} of at least {limits.min_reads} reads."
        remedy = f"Give it more with `strangler ramp {facts.phase} --reads P`, or wait."
        return GateVerdict("errors", Verdict.INCONCLUSIVE, reason, remedy)
    return _verdict("errors", judge_errors(pair, limits.guard, ONE_LOOK))


def latency(facts: Facts, limits: Limits) -> GateVerdict | None:
    """Whether the service is slower than the monolith; nobody can tell while one side answers everything."""
    pair = facts.answers or Both()
    if min(pair.service.timed, pair.monolith.timed) < FEWEST_TIMED:
        return None
    return _verdict("latency", judge_latency([pair], limits.guard, ONE_LOOK))


def _verdict(name: str, judged: Judgement) -> GateVerdict:
    remedy = "" if judged.verdict is Verdict.PASS else "Mend the service, and wait for newer answers."
    return GateVerdict(name, judged.verdict, judged.reason, remedy)
