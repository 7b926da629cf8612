"""The gate that asks whether anything still reaches the monolith."""

from dataclasses import replace

import pytest

from migration.gate_facts import Facts, IdleFact, Limits, Verdict
from migration.gate_idle import idle
from migration.stages import Stage

DAY = 86_400.0
LIMITS = Limits(min_idle_seconds=7 * DAY)
LIVE = Facts(
    phase="search",
    moves_data=True,
    reads=True,
    backfilled=True,
    lag_changes=0,
    lag_seconds=0.0,
    parked=0,
    trouble=None,
    check=None,
    compared=0,
    matched=0,
    mirrored=0,
    workers=1,
    late_workers=(),
    irreversible=None,
    stage=Stage.LIVE,
    stage_seconds=30 * DAY,
    idle=IdleFact(),
)


@pytest.mark.parametrize(
    ("seen", "verdict", "said"),
    [
        (IdleFact(), Verdict.PASS, "nothing has reached the monolith for 30 d."),
        (IdleFact("GET /search", 8 * DAY, 9 * DAY), Verdict.PASS, "for 8 d."),
        (IdleFact(blind=True), Verdict.PASS, "keeps no trace"),
        (
            IdleFact("GET /search", 2 * DAY),
            Verdict.FAIL,
            "the monolith answered GET /search 2 d ago; the",
        ),
        (IdleFact("GET /search", 6 * DAY, 3 * DAY), Verdict.FAIL, "refused a write past the facade 3 d ago"),
        (
            IdleFact("GET /search", 8 * DAY, unseen=2),
            Verdict.FAIL,
            "refused 2 writes past the facade just",
        ),
        (None, Verdict.INCONCLUSIVE, "nothing was counted yet"),
    ],
)
def test_what_reached_the_monolith_last_decides(seen, verdict, said) -> None:
    found = idle(replace(LIVE, idle=seen), LIMITS)
    assert found is not None
    assert (found.verdict, said in found.reason) == (verdict, True), found
    assert bool(found.remedy) is not found.open


def test_a_phase_that_is_live_for_too_short_has_done_nothing_wrong() -> None:
    found = idle(replace(LIVE, stage_seconds=2 * DAY), LIMITS)
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Wait for another 5 d" in found.remedy
    assert "--force-idle" in found.remedy


def test_a_hit_from_before_the_phase_was_live_says_nothing() -> None:
    found = idle(replace(LIVE, stage_seconds=2 * DAY, idle=IdleFact("GET /search", 3 * DAY)), LIMITS)
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE


def test_with_no_limit_nobody_asks() -> None:
    assert idle(LIVE, Limits(min_idle_seconds=0)) is None
