"""Intervals: published values, and what a simulation of the same finds."""

import random
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.evidence import LATENCY_BUCKETS_MS
from migration.intervals import newcombe, percentile, wilson


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [(0, 0, 0.0, 1.0), (8, 10, 0.4902, 0.9433), (100, 100, 0.9630, 1.0), (0, 20, 0.0, 0.1611)],
)
def test_wilson_agrees_with_published_values(hits, total, low, high) -> None:
    assert wilson(hits, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_the_interval_holds_the_rate_and_narrows_with_evidence(counts) -> None:
    hits, total = counts
    low, high = wilson(hits, total)
    assert 0.0 <= low <= high <= 1.0
    if total:
        assert low <= hits / total <= high
        wider = wilson(hits, total)
        narrower = wilson(hits * 4, total * 4)
        assert narrower[1] - narrower[0] <= wider[1] - wider[0]


@pytest.mark.parametrize(
    ("before", "now", "low", "high"),
    [
        ((48, 80), (56, 70), 0.0524, 0.3339),  # Newcombe 1998, table II, method 10
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 10), (10, 10), 0.6075, 1.0),
        ((0, 0), (5, 5), -1.0, 1.0),
    ],
)
def test_newcombe_agrees_with_published_values(before, now, low, high) -> None:
    assert newcombe(before, now) == pytest.approx((low, high), abs=5e-4)


rates = st.integers(1, 1000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@given(rates, rates)
def test_a_growth_turned_around_is_a_loss(before, now) -> None:
    low, high = newcombe(before, now)
    back = newcombe(now, before)
    assert back == pytest.approx((-high, -low))
    assert low <= now[0] / now[1] - before[0] / before[1] <= high


measured = st.lists(st.sampled_from(LATENCY_BUCKETS_MS), min_size=1)


def counted(values):
    return {bound: values.count(bound) for bound in set(values)}


@given(measured, st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(values, share) -> None:
    found = percentile(counted(values), share)
    assert found.value in values
    assert sum(value <= found.value for value in values) >= share * len(values)
    assert sum(value < found.value for value in values) < share * len(values)
    assert found.low < found.value <= found.high
    assert found.high in values


@given(measured)
def test_the_interval_narrows_with_more_of_the_same(values) -> None:
    one, many = counted(values), {bound: 400 * n for bound, n in counted(values).items()}
    few, more = percentile(one, 0.9), percentile(many, 0.9)
    assert few.low <= more.low
    assert more.high <= few.high


def test_nothing_measured_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({1.0: 0}, 0.5) is None


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("size", [20, 300])
def test_the_interval_is_what_drawing_again_and_again_gives(share, size) -> None:
    draw = random.Random(size)
    bounds = LATENCY_BUCKETS_MS[20:35]
    values = draw.choices(bounds, weights=range(15, 0, -1), k=size)
    rank = ceil(share * size) - 1
    drawn = sorted(sorted(draw.choices(values, k=size))[rank] for _ in range(2000))
    found = percentile(counted(values), share)
    at = {bound: place for place, bound in enumerate(LATENCY_BUCKETS_MS)}
    # A quantile that falls between two buckets may be drawn into either.
    assert abs(at[found.low] + 1 - at[drawn[50]]) <= 1
    assert abs(at[found.high] - at[drawn[1950]]) <= 1


def test_the_count_of_millions_is_as_sure_as_it_gets() -> None:
    found = percentile({1.0: 10_000_000, 2.0: 10_000_000}, 0.6)
    assert (found.value, found.high) == (2.0, 2.0)
