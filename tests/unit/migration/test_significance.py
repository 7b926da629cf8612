"""The tests that a guard judges by, against exact arithmetic."""

from collections import Counter
from fractions import Fraction
from itertools import combinations
from math import comb
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from migration.significance import binomial, fisher, mann_whitney, quantile

few = st.integers(0, 40)


@given(few, st.integers(1, 60), few, st.integers(1, 60))
def test_fisher_is_the_tail_of_the_hypergeometric_distribution(failed, total, others_failed, others) -> None:
    assume(failed <= total and others_failed <= others)
    failures, everything = failed + others_failed, total + others
    ways = [comb(failures, k) * comb(everything - failures, total - k) for k in range(total + 1)]
    exact = float(Fraction(sum(ways[failed:]), comb(everything, total)))
    expected = 1.0 if failed * everything <= failures * total else exact
    assert fisher(failed, total, others_failed, others) == pytest.approx(expected, rel=1e-9)


@given(few, st.integers(1, 60), st.integers(0, 100))
def test_binomial_is_the_tail_of_the_binomial_distribution(failed, total, percent) -> None:
    assume(failed <= total)
    p = Fraction(percent, 100)
    exact = float(sum(comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(failed, total + 1)))
    expected = 1.0 if failed <= total * percent / 100 else exact
    assert binomial(failed, total, percent / 100) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("failed", [60, 5_000, 100_000])
def test_great_numbers_are_judged_without_overflow(failed: int) -> None:
    assert 0.0 <= fisher(failed, 1_000_000, 10, 1_000_000) < 1e-9
    assert 0.0 <= binomial(failed, 100_000, 0.0001) < 1e-9
    assert fisher(10, 1_000_000, failed, 1_000_000) == 1.0


def test_what_no_normal_approximation_tells_is_told_exactly() -> None:
    """All of 16 fail on one side, none of 16 on the other: one way among comb(32, 16)."""
    assert fisher(16, 16, 0, 16) == pytest.approx(1 / comb(32, 16), rel=1e-9)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.lists(st.integers(0, 9), min_size=1, max_size=30)
)
def test_superiority_is_how_often_one_is_above_the_other(ours, theirs) -> None:
    _, above = mann_whitney(Counter(map(float, ours)), Counter(map(float, theirs)))
    pairs = [(a > b) + (a == b) / 2 for a in ours for b in theirs]
    assert above == pytest.approx(sum(pairs) / len(pairs))


def test_mann_whitney_is_near_the_exact_distribution_and_never_bolder_in_the_tail() -> None:
    """All ways in which 7 and 7 different values can be ranked."""
    ranks = range(14)
    sums = sorted(sum(mine) - 21 for mine in combinations(ranks, 7))
    for mine in (
        [7, 8, 9, 10, 11, 12, 13],
        [6, 8, 9, 10, 11, 12, 13],
        [3, 7, 8, 9, 10, 11, 12],
        [1, 4, 6, 9, 10, 11, 12],
    ):
        u = sum(mine) - 21
        exact = sum(each >= u for each in sums) / len(sums)
        ours = Counter(map(float, mine))
        theirs = Counter(float(each) for each in ranks if each not in mine)
        p, above = mann_whitney(ours, theirs)
        assert above == u / 49
        assert p == pytest.approx(exact, abs=0.01)
        if exact < 0.001:
            assert p >= exact


def test_one_value_only_tells_nothing() -> None:
    assert mann_whitney({1.0: 50}, {1.0: 70}) == (1.0, 0.5)
    assert mann_whitney({}, {1.0: 70}) == (1.0, 0.5)


def test_alike_sides_are_called_different_as_often_as_the_probability_says() -> None:
    random = Random(7)

    def sample(size: int) -> Counter[float]:
        return Counter(round(random.lognormvariate(0, 1), 1) for _ in range(size))

    def errors(size: int) -> int:
        return sum(random.random() < 0.02 for _ in range(size))

    rounds = 2_000
    ranked = sum(mann_whitney(sample(60), sample(90))[0] < 0.05 for _ in range(rounds))
    counted = sum(fisher(errors(200), 200, errors(300), 300) < 0.05 for _ in range(rounds))
    assert 0.035 * rounds < ranked < 0.065 * rounds
    assert counted < 0.055 * rounds  # exact tests of whole numbers err on the safe side


def test_a_quantile_is_the_bucket_in_which_it_is_reached() -> None:
    buckets = {1.0: 50, 2.0: 40, 4.0: 10}
    assert [quantile(buckets, share) for share in (0.5, 0.51, 0.9, 0.91)] == [1.0, 2.0, 2.0, 4.0]
    assert quantile({}, 0.5) == 0.0
