"""One run beside an earlier one: nothing is called a change that the numbers do not show."""

from typing import Any

import pytest

from facade.evidence import ShadowCounts
from migration.report.changes import Turn, changes
from migration.summary import ShadowSummary, summarise_phase


def run(route: str = "GET /a", matched: int = 0, mismatched: int = 0, **more: Any) -> ShadowSummary:
    eligible = matched + mismatched
    return summarise_phase(
        "p", 1.0, 2.0, [(60.0, ShadowCounts("p", route, eligible, matched, mismatched, **more))]
    )


@pytest.mark.parametrize(
    ("before", "now", "turn"),
    [
        ((900, 100), (999, 1), Turn.BETTER),
        ((999, 1), (900, 100), Turn.WORSE),
        ((99, 1), (98, 2), Turn.OPEN),
        ((0, 0), (10, 0), Turn.OPEN),
    ],
)
def test_a_rate_turned_only_where_its_interval_says_so(before: Any, now: Any, turn: Turn) -> None:
    found = changes(run("GET /a", *before), run("GET /a", *now), "then")
    assert found.total.turn is found.routes[0].turn is turn
    assert "95 % interval" in found.sentence


def told(before: int, now: int, compared: tuple[int, int] = (1000, 1000)) -> list[tuple[Turn, str]]:
    def differing(count: int, of: int) -> ShadowSummary:
        return run("GET /a", of - count, count, fields={("$.x", "value"): count} if count else {})

    found = changes(differing(before, compared[0]), differing(now, compared[1]), "then")
    return [(each.turn, each.remark) for each in found.fields]


def test_differences_are_new_gone_more_or_fewer() -> None:
    assert told(0, 10) == [(Turn.WORSE, "new")]
    assert told(10, 0) == [(Turn.BETTER, "gone")]
    assert told(10, 30) == [(Turn.WORSE, "3.0 times as often")]
    assert told(30, 10) == [(Turn.BETTER, "3.0 times as seldom")]
    assert told(10, 12) == []


def test_few_comparisons_cannot_show_that_a_difference_is_new_or_gone() -> None:
    assert told(10, 0, (1000, 20)) == [(Turn.OPEN, "not seen again yet, among few comparisons")]
    assert told(0, 1, (20, 1000)) == [(Turn.OPEN, "not seen before, among few comparisons")]


def test_a_route_that_only_one_run_has_says_nothing_of_its_differences() -> None:
    found = changes(run("GET /a", 9, 1, fields={("$.x", "value"): 1}), run("GET /b", 10), "then")
    assert [(each.route, each.before is None, each.now is None) for each in found.routes] == [
        ("GET /a", False, True),
        ("GET /b", True, False),
    ]
    assert found.fields == ()


def test_a_latency_turned_only_where_the_intervals_part() -> None:
    slow, fast = run(matched=1000, shadow_ms={20.0: 1000}), run(matched=1000, shadow_ms={5.0: 1000})
    assert {each.turn for each in changes(slow, fast, "then").latency} == {Turn.BETTER}
    assert {each.turn for each in changes(fast, slow, "then").latency} == {Turn.WORSE}
    assert {each.turn for each in changes(fast, fast, "then").latency} == {Turn.OPEN}
    assert changes(run(matched=1), fast, "then").latency == ()
