"""Gates: each opens and closes by its own fact, and says why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.gates import CheckFact, Facts, Limits, gates
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
    compared=200,
    matched=200,
    mirrored=10_000,
    workers=2,
    late_workers=(),
    irreversible=None,
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
        ({"matched": 197}, "shadow", "197 of 200 compared reads agree (98.50%); the limit is 99.00%"),
        ({"late_workers": ("w1", "w2")}, "workers", "w1, w2 lags behind"),
        ({"irreversible": "table 'a' cannot be mapped back."}, "reverse", "cannot be mapped back"),
    ],
)
def test_a_closed_gate_says_why_and_what_opens_it(change, name, reason) -> None:
    closed = [v for v in gates(Stage.LIVE, replace(GOOD, **change), Limits()) if not v.open]
    assert [v.name for v in closed] == [name]
    assert reason in closed[0].reason
    assert closed[0].remedy


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
