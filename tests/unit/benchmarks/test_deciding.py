"""The decision that is measured is the one that is claimed: 1,000 routes and two flags."""

from benchmarks.deciding import PHASES, ROUTES, decided, snapshot, targets
from flags.side import Side


def test_every_target_is_matched_against_a_thousand_routes_and_belongs_to_a_phase() -> None:
    served = snapshot()
    assert len(served.routes.routes) == ROUTES
    decisions = [decided(served, target, "user-1", b"1") for target in targets(PHASES)]
    assert {each.phase.name for each in decisions if each.phase is not None} == set(served.phases)


def test_nearly_every_decision_asks_both_flags() -> None:
    served = snapshot()
    decisions = [
        decided(served, target, f"user-{at}", b"%d" % at) for at, target in enumerate(targets(1_000))
    ]
    asked = [each for each in decisions if each.split and each.side is Side.MONOLITH]
    assert len(asked) > 990
    assert 400 < sum(each.shadow for each in asked) < 600


def test_no_two_targets_are_alike() -> None:
    assert len(set(targets(5_000))) == 5_000
