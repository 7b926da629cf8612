"""The guard's judgement over simulated time: what is worse is found soon, what is healthy never is."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.evidence import LATENCY_BUCKETS_MS
from flags.side import Side
from migration.gate_facts import Verdict
from migration.plan_gates import Guard
from migration.ramp_verdict import Judgement, judge_errors, judge_latency
from migration.ramp_watch import LOOKS_A_DAY, TICK_SECONDS, Watch
from migration.read_answers import Answers, Both
from migration.read_traffic import Told

RULE = Guard()
ALPHA = RULE.false_alarms / LOOKS_A_DAY
Pace = Callable[[Random, float], float]
"""A latency in milliseconds, at a time."""


def ordinary(random: Random, _: float) -> float:
    return random.lognormvariate(3.0, 0.6)  # around 20 ms


def noisy(random: Random, at: float) -> float:
    """A tenth slower, with outliers, and every half minute it stands still for a second."""
    stalled = 400 if at % 30 < 1 else 0
    return ordinary(random, at) * 1.1 + (300 if random.random() < 0.03 else 0) + stalled


def slower(random: Random, at: float) -> float:
    return ordinary(random, at) * 1.8 + 5


def buckets(values: list[float]) -> dict[float, int]:
    last = len(LATENCY_BUCKETS_MS) - 1
    found = (LATENCY_BUCKETS_MS[min(bisect_left(LATENCY_BUCKETS_MS, each), last)] for each in values)
    return dict(Counter(found))


def watched(
    seconds: float,
    *,
    rate: float = 100.0,
    share: float = 0.5,
    errors: tuple[float, float] = (0.001, 0.001),
    paces: tuple[Pace, Pace] = (ordinary, ordinary),
    seed: int = 1,
) -> tuple[float, Judgement] | None:
    """When a fault of the service is found, and which; errors and paces are the service's, the monolith's."""
    random, watch = Random(seed), Watch()
    number, at = 0, 1000.0
    while at < 1000.0 + seconds:
        at += TICK_SECONDS
        told = []
        for side, part, failing, pace in (
            (Side.SERVICE, share, errors[0], paces[0]),
            (Side.MONOLITH, 1 - share, errors[1], paces[1]),
        ):
            answered = sum(random.random() < rate * part * TICK_SECONDS / 50 for _ in range(50))
            failed = sum(random.random() < failing for _ in range(answered))
            times = buckets([pace(random, at) for _ in range(answered - failed)])
            if answered:
                number += 1
                told.append(Told(number, "search", side, at, Answers(answered, failed, times)))
        watch.hear(told, at)
        if (found := watch.failure(RULE, at, 1000.0)) is not None:
            return at - 1000.0, found
    return None


def test_a_burst_of_errors_is_found_within_a_second() -> None:
    found = watched(10, errors=(1.0, 0.001))
    assert found is not None
    assert found[0] <= 1.0
    assert found[1].test == "errors"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 1.0])
def test_one_error_in_twenty_is_found_at_any_share(share: float) -> None:
    found = watched(400, errors=(0.05, 0.001), share=share)
    assert found is not None
    assert found[1].test == "errors"
    assert "by chance" in found[1].reason


def test_slowness_alone_is_found() -> None:
    found = watched(60, paces=(slower, ordinary))
    assert found is not None
    assert found[1].test == "latency"
    assert "ms at the service and" in found[1].reason


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "healthy",
    [
        {"errors": (0.01, 0.01)},
        {"errors": (0.012, 0.008)},
        {"paces": (noisy, ordinary)},
        {"rate": 3.0, "errors": (0.03, 0.02)},
        {"share": 0.01, "errors": (0.02, 0.02)},
    ],
    ids=["errors on both sides", "hardly more errors", "a noisy service", "little traffic", "a hundredth"],
)
def test_a_healthy_service_is_left_alone(healthy, seed) -> None:
    assert watched(150, seed=seed, **healthy) is None


def test_both_sides_failing_alike_is_no_reason_to_go_back() -> None:
    assert watched(60, errors=(0.5, 0.5)) is None


def test_false_alarms_are_as_rare_as_each_look_is_allowed_to_make_them() -> None:
    """At a chance of 1 % for a look, no more than that of two thousand looks at healthy windows find one."""
    random = Random(11)

    def window(failing: float) -> Answers:
        answered = random.randrange(50, 400)
        failed = sum(random.random() < failing for _ in range(answered))
        return Answers(answered, failed, buckets([ordinary(random, 0.0) for _ in range(answered - failed)]))

    keen = Guard(max_error_excess=0.0, max_error_rate=0.02, max_latency_ratio=1.0001, min_latency_ms=0)
    looks, alarms = 2_000, Counter[str]()
    for _ in range(looks):
        pair = Both(window(0.02), window(0.02))
        alarms["errors"] += judge_errors(pair, keen, 0.01).verdict is Verdict.FAIL
        alarms["latency"] += judge_latency([pair], keen, 0.01).verdict is Verdict.FAIL
    assert alarms["errors"] <= 2 * 0.01 * looks  # it looks twice: at the monolith, and at the limit
    assert alarms["latency"] <= 0.02 * looks


answers = st.builds(
    lambda answered, failed, times: Answers(answered, min(failed, answered), times),
    st.integers(0, 500),
    st.integers(0, 500),
    st.dictionaries(st.sampled_from(LATENCY_BUCKETS_MS), st.integers(1, 200), max_size=8),
)


@given(answers, answers)
def test_every_verdict_says_why_and_none_of_few_answers_is_a_failure(service, monolith) -> None:
    pair = Both(service, monolith)
    for found in (judge_errors(pair, RULE, ALPHA), judge_latency([pair], RULE, ALPHA)):
        assert found.reason.endswith(".")
    if service.answered < 10:
        assert judge_errors(pair, RULE, 1.0).verdict is Verdict.INCONCLUSIVE
    if min(service.timed, monolith.timed) < 10:
        assert judge_latency([pair], RULE, 1.0).verdict is Verdict.INCONCLUSIVE


@given(answers, answers, st.integers(1, 50))
def test_more_failures_never_make_a_failing_service_pass(service, monolith, more) -> None:
    before = judge_errors(Both(service, monolith), RULE, 0.01).verdict
    failed = min(service.answered, service.failed + more)
    after = judge_errors(Both(Answers(service.answered, failed), monolith), RULE, 0.01).verdict
    assert before is not Verdict.FAIL or after is Verdict.FAIL


def test_what_was_answered_before_somebody_looked_says_nothing() -> None:
    watch = Watch()
    bad = [
        Told(1, "search", Side.SERVICE, 1000.0, Answers(100, 100)),
        Told(2, "search", Side.MONOLITH, 1000.0, Answers(100)),
    ]
    watch.hear(bad, 1000.5)
    assert watch.failure(RULE, 1000.5, 1000.2) is None
    assert watch.failure(RULE, 1001.0, 999.0) is not None
