"""Gates: each opens and closes by its own fact, and says why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.gate_facts import IdleFact
from migration.gates import CheckFact, ConsentFact, Facts, GateVerdict, Limits, Step, Verdict, gates
from migration.gates_of_people import of_people
from migration.read_answers import Answers, Both
from migration.stages import Stage

GOOD = Facts(
    phase="search",
    moves_data=True,
    reads=True,
    backfilled=True,
    lag_changes=0,
    lag_seconds=0.0,
    parked=0,
    trouble=None,
    check=CheckFact(clean=True, rows=10, findings=0, age_seconds=5.0),
    compared=400,
    matched=400,
    mirrored=10_000,
    workers=2,
    late_workers=(),
    irreversible=None,
    stage_seconds=30 * 86_400.0,
    idle=IdleFact(),
)


@pytest.mark.parametrize("target", Stage)
def test_all_gates_are_open_when_all_is_well(target: Stage) -> None:
    assert all(verdict.open and not verdict.remedy for verdict in gates(target, GOOD, Limits()))


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"backfilled": False}, "backfill", "not every row"),
        ({"backfilled": False, "trouble": "database x does not answer."}, "backfill", "does not answer"),
        (
            {"lag_seconds": 9.0, "lag_changes": 7},
            "lag",
            "7 changes wait, the oldest for 9.0 s; the limit is 5 s",
        ),
        ({"lag_seconds": None, "trouble": "no answer."}, "lag", "no answer"),
        ({"parked": 3}, "parked", "3 changes could not be applied"),
        ({"check": None}, "check", "never compared"),
        ({"check": CheckFact(False, 10, 4, 1.0)}, "check", "4 findings"),
        ({"check": CheckFact(True, 10, 0, 4000.0)}, "check", "4000 s ago; the limit is 3600 s"),
        ({"compared": 99, "matched": 99}, "shadow", "only 99 of at least 100"),
        ({"matched": 385}, "shadow", "385 of 400 compared reads agree (96.25%); the limit is 99.00%"),
        ({"invariants": ("total",)}, "invariants", "no check has asked total yet"),
        (
            {
                "invariants": ("total",),
                "check": CheckFact(True, 10, 0, 5.0, frozenset({"total"}), {"total": "broken: 1 against 2"}),
            },
            "invariants",
            "did not hold at the last check: total (broken: 1 against 2)",
        ),
        ({"late_workers": ("w1", "w2")}, "workers", "w1, w2 lags behind"),
        ({"irreversible": "table 'a' cannot be mapped back."}, "reverse", "cannot be mapped back"),
    ],
)
def test_a_closed_gate_says_why_and_what_opens_it(change, name, reason) -> None:
    closed = [v for v in gates(Stage.LIVE, replace(GOOD, **change), Limits()) if not v.open]
    assert [v.name for v in closed] == [name]
    assert reason in closed[0].reason
    assert closed[0].remedy


UNKNOWN = {
    "backfill": {"backfilled": False, "trouble": "no answer."},
    "lag": {"lag_seconds": None, "trouble": "no answer."},
    "check": {"check": None},
    "shadow": {"compared": 0, "matched": 0},
    "invariants": {"invariants": ("total",)},
    "approvals": {"consent": ConsentFact("live", needed=1)},
    "confirmations": {"consent": ConsentFact("live", confirmed={"support is told": None})},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_told_yet_is_inconclusive_and_no_failure(name) -> None:
    (closed,) = [v for v in gates(Stage.LIVE, replace(GOOD, **UNKNOWN[name]), Limits()) if not v.open]
    assert (closed.name, closed.verdict) == (name, Verdict.INCONCLUSIVE)
    assert closed.remedy


def test_too_few_comparisons_to_prove_the_rate_say_how_many_more_would() -> None:
    def shadow(matched: int, compared: int) -> GateVerdict:
        facts = replace(GOOD, compared=compared, matched=matched)
        return next(v for v in gates(Stage.RAMP, facts, Limits()) if v.name == "shadow")

    doubtful = shadow(200, 200)
    assert doubtful.verdict is Verdict.INCONCLUSIVE
    assert "may be as few as 98.12% of all reads" in doubtful.reason
    assert "Wait for 181 more that agree" in doubtful.remedy
    assert shadow(200 + 181, 200 + 181).open
    assert not shadow(200 + 180, 200 + 180).open


def test_a_rate_of_one_asks_for_no_difference_at_all() -> None:
    rule = Limits(min_match_rate=1.0, min_samples=20)
    for matched, verdict in ((20, Verdict.PASS), (19, Verdict.FAIL)):
        found = gates(Stage.RAMP, replace(GOOD, compared=20, matched=matched), rule)
        assert {v.name: v.verdict for v in found}["shadow"] is verdict


def test_a_phase_soaks_in_its_stage_for_as_long_as_the_plan_says() -> None:
    rule = Limits(soak={"ramp": 7200.0})
    ramping = replace(GOOD, stage=Stage.RAMP, stage_seconds=3000.0)
    (soak,) = [v for v in gates(Stage.LIVE, ramping, rule) if not v.open]
    assert soak.reason == "50 min of 2 h in the stage ramp are over."
    assert soak.remedy == "Wait for another 70 min."
    assert all(v.open for v in gates(Stage.LIVE, replace(ramping, stage_seconds=7200.0), rule))
    assert all(v.open for v in gates(Step("writes", 1000), ramping, rule))


def test_approvals_and_confirmations_name_who_is_missing_and_what_to_run() -> None:
    asked = ConsentFact("live", 2, ["ann@a"], own=True, confirmed={"a": "bob@b", "it's so": None})
    verdicts = {v.name: v for v in gates(Stage.LIVE, replace(GOOD, consent=asked), Limits())}
    assert "1 of 2 approvals: approved by ann@a, besides whoever runs it" in verdicts["approvals"].reason
    assert "strangler approve search live" in verdicts["approvals"].remedy
    assert "nobody has confirmed “it's so”" in verdicts["confirmations"].reason
    given = ConsentFact("live", 2, ["ann@a", "cyd@c"], confirmed={"a": "bob@b"})
    assert all(v.open for v in gates(Stage.LIVE, replace(GOOD, consent=given), Limits()))


def test_a_greater_share_of_the_reads_asks_only_people() -> None:
    asked = ConsentFact("reads 25", needed=1, confirmed={"it is monday": "ann"})
    verdicts = of_people("search", asked, "it failed.")
    assert [(v.name, v.open) for v in verdicts] == [
        ("guard", False),
        ("confirmations", True),
        ("approvals", False),
    ]
    assert "strangler guard acknowledge search" in verdicts[0].remedy


def answered(reads: int, failed: int, pace: float) -> Answers:
    return Answers(reads, failed, {pace: reads - failed})


@pytest.mark.parametrize(
    ("service", "monolith", "wanted", "closed"),
    [
        (answered(1000, 1, 20.0), answered(1000, 1, 20.0), 500, {}),
        (answered(0, 0, 20.0), answered(1000, 0, 20.0), 0, {}),
        (answered(100, 0, 20.0), answered(1000, 0, 20.0), 500, {"errors": Verdict.INCONCLUSIVE}),
        (answered(1000, 80, 20.0), answered(1000, 2, 20.0), 0, {"errors": Verdict.FAIL}),
        (answered(1000, 80, 20.0), answered(0, 0, 20.0), 0, {"errors": Verdict.FAIL}),
        (answered(40, 1, 20.0), answered(40, 0, 20.0), 0, {"errors": Verdict.INCONCLUSIVE}),
        (answered(1000, 0, 50.0), answered(1000, 0, 20.0), 0, {"latency": Verdict.FAIL}),
        (answered(1000, 0, 50.0), answered(5, 0, 20.0), 0, {}),
    ],
)
def test_errors_and_latency_of_both_sides_are_asked_before_live(service, monolith, wanted, closed) -> None:
    facts = replace(GOOD, answers=Both(service, monolith))
    found = gates(Stage.LIVE, facts, Limits(min_reads=wanted))
    assert {v.name: v.verdict for v in found if not v.open} == closed
    assert all(v.remedy for v in found if not v.open)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_what_covers_a_share_covers_every_smaller_one(one, other) -> None:
    assert Step("reads", one).covers(Step("reads", other)) is (one >= other)
    assert not Step("reads", one).covers(Step("writes", other))


def test_only_live_asks_for_the_way_back() -> None:
    stuck = replace(GOOD, irreversible="no")
    assert all(v.open for v in gates(Stage.RAMP, stuck, Limits()))


def test_a_phase_without_tables_is_not_asked_about_data() -> None:
    bare = replace(GOOD, moves_data=False, backfilled=False, lag_seconds=None, check=None)
    assert {v.name for v in gates(Stage.LIVE, bare, Limits())} == {"shadow", "workers"}


def test_a_phase_without_read_routes_is_not_asked_for_samples() -> None:
    writing = replace(GOOD, reads=False, compared=0, matched=0)
    assert all(v.open for v in gates(Stage.LIVE, writing, Limits()))


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 500), st.floats(0, 1))
def test_more_agreement_never_closes_the_shadow_gate(compared, matched, samples, rate) -> None:
    matched = min(matched, compared)
    rule = Limits(min_match_rate=rate, min_samples=samples)

    def verdict(total: int, equal: int) -> bool:
        facts = replace(GOOD, compared=total, matched=equal)
        return next(v.open for v in gates(Stage.RAMP, facts, rule) if v.name == "shadow")

    if verdict(compared, matched):
        assert verdict(compared + 1, matched + 1)


def test_a_killed_shadow_flag_is_named_by_the_gate() -> None:
    verdicts = gates(Stage.RAMP, replace(GOOD, compared=3, matched=3, mirrored=0), Limits())
    (shadow,) = [each for each in verdicts if not each.open]
    assert "None is mirrored now" in shadow.reason
    assert shadow.remedy == "Run `strangler flags set search.shadow 100`."
