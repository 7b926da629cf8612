"""What the figures mean, in words: a verdict in one sentence, and what to do next. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from migration.plan_gates import Gates
from migration.report.page import count, ms, percent, round_percent, several
from migration.summary import WHOLE, Agreement, Latency, RouteSummary, ShadowSummary

KINDS = {
    "status": "Another status",
    "type": "Another type",
    "missing": "Missing in the service's answer",
    "extra": "Only in the service's answer",
    "length": "Another number of occurrences",
    "value": "Another value",
    "header": "Another header",
    "body": "Another body",
}
"""The kinds of difference in the order of the report, with their headings."""
STRUCTURAL = ("status", "type", "missing", "extra", "length")
"""Kinds of difference that are the service's fault until shown otherwise: no rule should hide them."""

DROPS = {
    "queue_full": "too many comparisons were under way",
    "breaker_open": "the service failed too often and was given a rest",
    "body_too_large": "an answer was larger than the shadow copies",
    "timeout": "the service did not answer within [phases.shadow] timeout",
    "connect": "the service could not be reached",
    "closed": "the service closed the connection before answering",
    "broken": "the service broke off in the middle of its answer",
    "malformed": "the service's answer was not HTTP",
    "no_service": "the phase has no service to ask",
    "monolith_failed": "the monolith did not answer the replay",
    "recheck_failed": "the answers differed, and asking both sides again failed",
    "compare_failed": "the comparison itself failed: please report it",
    "shutdown": "the facade was stopping",
}
"""What the reasons for which the facade gives up a comparison mean."""
_ADVICE = (
    (STRUCTURAL, "Mend the service and let no rule hide it: differences of this kind break clients."),
    (
        ("value", "header", "body"),
        "Mend the service; judge it by its shape only if every answer has its own value there, like a time.",
    ),
)
_NOTABLE_DROPS = 0.05


class Tone(StrEnum):
    """How good the news is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence for the head of the page, and how it stands to the gate."""

    tone: Tone
    sentence: str
    gate: str


def judge(total: Agreement, gates: Gates) -> Verdict:
    """What all comparisons together say about the service."""
    if total.match_rate is None:
        return Verdict(Tone.DOUBTFUL, "Nothing has been compared yet.", "There is nothing to judge by.")
    low, high = total.interval
    sentence = (
        f"The service gave the monolith's answer in {percent(total.match_rate)} "
        f"of {several(total.compared, 'comparison')} "
        f"(95 % interval {percent(low)} to {percent(high)})."
    )
    limit = f"the {round_percent(gates.min_match_rate)} that the gate asks for"
    if total.compared < gates.min_samples:
        gate = f"Too few to judge by: the gate asks for {count(gates.min_samples)}."
        return Verdict(Tone.DOUBTFUL, sentence, gate)
    if total.match_rate < gates.min_match_rate:
        return Verdict(Tone.BAD, sentence, f"That is below {limit}.")
    if low < gates.min_match_rate:
        gate = f"That meets {limit}, but the interval still reaches below it: more comparisons would tell."
        return Verdict(Tone.DOUBTFUL, sentence, gate)
    return Verdict(Tone.GOOD, sentence, f"That meets {limit}, with the whole interval.")


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do now, with the command that does it if there is one."""

    text: str
    command: str = ""


def next_steps(summary: ShadowSummary, unmatched: Sequence[str], gates: Gates) -> list[Step]:
    """What to do now, most pressing first. ``unmatched`` are the rules that never hid anything."""
    phase, total = summary.phase, summary.total
    if total.compared == 0:
        if summary.source is not None:
            return [Step("Replay requests that meet routes of the phase, with both sides running.")]
        return [
            Step(
                "Bring the phase to the stage shadow, if it is not there yet:", f"strangler advance {phase}"
            ),
            Step("Mirror its reads:", f"strangler flags set {phase}.shadow 100"),
        ]
    steps = [*_differing(summary), *_losing(summary), *_slower(total)]
    if unmatched:
        steps.append(Step(f"Remove the rules that hid nothing, or mend their paths: {', '.join(unmatched)}."))
    if summary.source is not None:
        steps.append(Step("A replay opens no gate; go on with live traffic:", f"strangler advance {phase}"))
    elif judge(total, gates).tone is Tone.GOOD and summary.view == WHOLE:
        steps.append(Step("The answers are good enough to go on:", f"strangler advance {phase}"))
    else:
        steps.append(Step("Then look again:", f"strangler shadow {phase}"))
    return steps


def _differing(summary: ShadowSummary) -> Iterator[Step]:
    for kinds, advice in _ADVICE:
        worst = max(
            (
                (field, route.route)
                for route in summary.routes
                for field in route.fields
                if field.kind in kinds
            ),
            key=lambda found: found[0].count,
            default=None,
        )
        if worst is not None:
            field, route = worst
            what = f"{kind_words(field.kind)}, {several(field.count, 'time')}"
            yield Step(f"Look at {field.path} in {route} ({what}). {advice}")
    if summary.source is None and any(field.kind == "value" for field in summary.total.fields):
        yield Step(
            "Learn which values the monolith does not agree on with itself, by asking it twice:",
            f"strangler calibrate {summary.phase} --share 10",
        )


def _losing(summary: ShadowSummary) -> Iterator[Step]:
    total = summary.total
    dropped = sum(total.drops.values())
    if total.eligible and dropped / total.eligible > _NOTABLE_DROPS:
        reason = words(max(total.drops, key=lambda each: total.drops[each]))
        yield Step(
            f"{percent(dropped / total.eligible)} of the eligible requests were not compared, mostly for "
            f"“{reason}”: what is left may not stand for the whole."
        )
    if total.stale:
        differences = several(total.stale, "difference")
        yield Step(
            f"{differences} vanished when both sides were asked again: replication lags"
            f"{_by(total.stale_lag)}. See how it is now:",
            "strangler status",
        )


def _by(lag: Latency) -> str:
    """How far it was behind then, where that is known."""
    if lag.p50 is None or lag.p99 is None:
        return ""
    return f", by {ms(lag.p50.value)} in half of the cases and at most by {ms(lag.p99.value)} in 99 %"


def _slower(total: RouteSummary) -> Iterator[Step]:
    """Only what the intervals show: where they overlap, either side may be the slower one."""
    ours, theirs = total.primary.p99, total.shadow.p99
    if ours and theirs and theirs.low > ours.high:
        yield Step(
            f"The service is slower than the monolith (p99 {ms(theirs.value)} against {ms(ours.value)}): "
            "ramp with care."
        )


def latencies(latency: Latency) -> list[float | None]:
    """p50, p95 and p99 in milliseconds."""
    return [None if each is None else each.value for each in (latency.p50, latency.p95, latency.p99)]


def kind_title(kind: str) -> str:
    """The heading of a kind of difference."""
    return KINDS.get(kind, kind.capitalize())


def kind_words(kind: str) -> str:
    """The same within a sentence."""
    title = kind_title(kind)
    return title[0].lower() + title[1:]


def words(name: str) -> str:
    """A name from the code as one writes it in a sentence."""
    return name.replace("_", " ")
