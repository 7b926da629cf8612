"""Summaries of shadow traffic: counts that add up, in all, by step of time, and in a view."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.summary import View, merge, summarise, summarise_phase


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


@given(
    st.lists(st.tuples(st.integers(0, 3_000_000), counts), max_size=8),
    st.sampled_from([View(), View(kinds=("value",)), View(fields=("$.A",))]),
)
def test_the_trend_adds_up_to_the_whole_in_few_steps_of_one_length(slots, view) -> None:
    summary = summarise_phase("search", 0.0, 4e6, [(float(at), each) for at, each in slots], view=view)
    assert sum(each.matched for each in summary.trend) == summary.total.matched
    assert sum(each.mismatched for each in summary.trend) == summary.total.mismatched
    assert sum(each.dropped for each in summary.trend) == sum(summary.total.drops.values())
    assert len(summary.trend) <= 61
    starts = [each.at for each in summary.trend]
    assert len({two - one for one, two in pairwise(starts)}) <= 1
    for field in summary.total.fields:
        assert len(field.trend) == len(starts)
        assert sum(field.trend) == field.count
        assert view.has_field(field.path, field.kind)


def sample(route: str, *paths: str) -> Comparison:
    differences = tuple(Difference(path, "value", "1", "2") for path in paths)
    return Comparison("search", route, "r", "GET", "/", 1.0, differences, 200, 200, 1.0, 1.0)


def test_a_view_narrows_the_figures_to_routes_and_the_differences_to_places() -> None:
    items = ShadowCounts(
        "search", "GET /items", 4, 3, 1, fields={("$.a[*].x", "value"): 1, ("$.b", "type"): 1}
    )
    users = ShadowCounts("search", "GET /users", 2, 2, 0)
    samples = [
        sample("GET /items", "$.a[3].x", "$.c"),
        sample("GET /items", "$.c"),
        sample("GET /users", "$.a[0].x"),
    ]
    narrow = summarise_phase(
        "search", 1.0, 9.0, [(60.0, items), (60.0, users)], samples, view=View(("ITEMS",), ("a[*]",))
    )
    assert [route.route for route in narrow.routes] == ["GET /items"]
    assert (narrow.total.compared, narrow.total.matched) == (4, 3)
    assert [field.path for field in narrow.total.fields] == ["$.a[*].x"]
    (shown,) = narrow.samples
    assert [each.path for each in shown.differences] == ["$.a[3].x"]
    kinds = summarise_phase("search", 1.0, 9.0, [(60.0, items)], view=View(kinds=("type",)))
    assert [field.path for field in kinds.total.fields] == ["$.b"]


@pytest.mark.parametrize(("since", "shown"), [(0.0, 120.0), (30.0, 30.0)])
def test_a_summary_from_the_beginning_begins_with_its_first_slot(since, shown) -> None:
    slots = [(180.0, ShadowCounts("search", "r")), (120.0, ShadowCounts("search", "r"))]
    assert summarise_phase("search", since, 300.0, slots).since == shown
