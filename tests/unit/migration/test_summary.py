"""Summaries of shadow traffic: intervals, percentiles, and counts that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.evidence import LATENCY_BUCKETS_MS, ShadowCounts
from migration.summary import merge, percentile, summarise, wilson


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


@given(
    st.lists(st.sampled_from(LATENCY_BUCKETS_MS), min_size=1),
    st.floats(0.01, 1.0),
)
def test_a_percentile_is_a_value_that_the_share_does_not_exceed(values, share) -> None:
    buckets = {bound: values.count(bound) for bound in set(values)}
    found = percentile(buckets, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_nothing_measured_has_no_percentile() -> None:
    assert percentile({}, 0.5) is None


def _balance(c: ShadowCounts) -> ShadowCounts:
    c.eligible = c.matched + c.mismatched + c.stale + sum(c.drops.values())
    return c


counts = st.builds(
    ShadowCounts,
    phase=st.just("search"),
    route=st.just("GET /search"),
    matched=st.integers(0, 50),
    mismatched=st.integers(0, 50),
    stale=st.integers(0, 50),
    drops=st.dictionaries(st.sampled_from(["queue", "size"]), st.integers(1, 9)),
    fields=st.dictionaries(st.tuples(st.sampled_from(["$.a", "$.b"]), st.just("value")), st.integers(1, 9)),
).map(_balance)


@given(st.lists(counts, max_size=5))
def test_i10_merged_counts_balance(parts) -> None:
    total = ShadowCounts("search", "*")
    for part in parts:
        merge(total, part)
    route = summarise(total)
    assert route.eligible == route.matched + route.mismatched + route.stale + sum(route.drops.values())
    assert sum(field.count for field in route.fields) == sum(sum(p.fields.values()) for p in parts)
    assert [field.count for field in route.fields] == sorted(
        (field.count for field in route.fields), reverse=True
    )
    assert route.match_rate == (route.matched / route.compared if route.compared else None)
