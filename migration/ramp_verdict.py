"""What the answers of both sides say about a ramp: whether the service is really worse. Pure.

A side is worse when two things hold together: the difference is great enough to matter (the plan says how
great), and it would hardly ever come about by chance (`migration.significance`). Slowness has to be seen in
each part of the time too, so that one pause of a busy service is not taken for its ordinary pace.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from migration.gate_facts import Verdict
from migration.plan_gates import Guard
from migration.read_answers import Answers, Both
from migration.significance import binomial, fisher, mann_whitney, quantile

FEWEST = 10
"""Reads below which nothing is said of a side."""
FEWEST_TIMED = 30
"""Latencies of each side below which nothing is said of its pace, and a third of them in each part."""
QUANTILES = (0.5, 0.75)
"""Where the paces of both sides are compared: what is rarer than a quarter is noise."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``test`` is ``errors`` or ``latency``; ``figures`` are the numbers behind the reason."""

    test: str
    verdict: Verdict
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge_errors(pair: Both, rule: Guard, alpha: float) -> Judgement:
    """Whether the service fails more reads than the monolith, or than the plan allows.

    ``alpha`` is the chance of a failure where nothing is wrong. Where both fail alike, as when a database
    that they share is down, nothing is won by going back.
    """
    ours, theirs = pair.service, pair.monolith
    if ours.answered < FEWEST:
        reason = f"the service has answered {ours.answered} reads, which is too few to judge by."
        return Judgement("errors", Verdict.INCONCLUSIVE, reason)
    excess = ours.rate - theirs.rate
    comparable = theirs.answered >= FEWEST
    against = fisher(ours.failed, ours.answered, theirs.failed, theirs.answered) if comparable else 1.0
    alone = binomial(ours.failed, ours.answered, rule.max_error_rate)
    figures = {"service": ours.rate, "monolith": theirs.rate, "p_against": against, "p_alone": alone}
    reason = f"the service failed {ours.told()}, the monolith {theirs.told()}"
    too_many = ours.rate > rule.max_error_rate and not (comparable and excess < ours.rate / 2)
    worse = comparable and excess > rule.max_error_excess
    if worse and against < alpha:
        return Judgement("errors", Verdict.FAIL, f"{reason}; by chance {_odds(against)}.", figures)
    if too_many and alone < alpha:
        limit = f"the limit is {rule.max_error_rate:.2%}"
        return Judgement("errors", Verdict.FAIL, f"{reason}; {limit}, and by chance {_odds(alone)}.", figures)
    if worse or too_many:
        return Judgement("errors", Verdict.INCONCLUSIVE, f"{reason}; that may be chance.", figures)
    return Judgement("errors", Verdict.PASS, f"{reason}.", figures)


def judge_latency(parts: Sequence[Both], rule: Guard, alpha: float) -> Judgement:
    """Whether the service is slower than the monolith. ``parts`` are parts of the time."""
    ours = Answers.all(part.service for part in parts)
    theirs = Answers.all(part.monolith for part in parts)
    if ours.timed < FEWEST_TIMED or theirs.timed < FEWEST_TIMED:
        few = f"{ours.timed} latencies of the service and {theirs.timed} of the monolith"
        return Judgement("latency", Verdict.INCONCLUSIVE, f"{few} are too few to compare.")
    p, superiority = mann_whitney(ours.milliseconds, theirs.milliseconds)
    slow = [share for share in QUANTILES if _slower(ours, theirs, share, rule)]
    figures = {"p": p, "superiority": superiority}
    figures |= {f"service_p{share * 100:.0f}_ms": quantile(ours.milliseconds, share) for share in QUANTILES}
    figures |= {
        f"monolith_p{share * 100:.0f}_ms": quantile(theirs.milliseconds, share) for share in QUANTILES
    }
    shown = slow[0] if slow else QUANTILES[0]
    reason = f"p{shown * 100:.0f} is {quantile(ours.milliseconds, shown):.3g} ms at the service"
    reason += f" and {quantile(theirs.milliseconds, shown):.3g} ms at the monolith"
    if not slow:
        return Judgement("latency", Verdict.PASS, f"{reason}.", figures)
    lasting = any(all(_lasts(part, share, rule) for part in parts) for share in slow)
    if lasting and p < alpha:
        limit = f"the limit is {rule.max_latency_ratio:g} times"
        return Judgement("latency", Verdict.FAIL, f"{reason}; {limit}, and by chance {_odds(p)}.", figures)
    why = "that may be chance" if lasting else "that did not last"
    return Judgement("latency", Verdict.INCONCLUSIVE, f"{reason}; {why}.", figures)


def _slower(ours: Answers, theirs: Answers, share: float, rule: Guard) -> bool:
    mine, other = quantile(ours.milliseconds, share), quantile(theirs.milliseconds, share)
    return mine > other * rule.max_latency_ratio and mine - other > rule.min_latency_ms


def _lasts(part: Both, share: float, rule: Guard) -> bool:
    fewest = min(part.service.timed, part.monolith.timed)
    return fewest >= FEWEST_TIMED // 3 and _slower(part.service, part.monolith, share, rule)


def _odds(p: float) -> str:
    return f"once in {1 / p:.0e} such times" if p > 1e-15 else "hardly ever"
