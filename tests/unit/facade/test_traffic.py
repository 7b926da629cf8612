"""Requests that are still to be told: each once, whatever fails in between."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from facade.counters import Counters
from facade.traffic import Traffic, TrafficCount
from flags.side import Side

REQUEST = st.tuples(
    st.sampled_from(["", "search"]), st.sampled_from(["GET /a", "GET /b"]), st.sampled_from(Side)
)


@given(st.lists(st.one_of(REQUEST, st.booleans())))
def test_i10_what_is_told_is_what_was_answered(steps: list[tuple[str, str, Side] | bool]) -> None:
    counters = Counters()
    traffic = Traffic(counters)
    answered, told = Counter[tuple[str, str, Side]](), Counter[tuple[str, str, Side]]()
    for step in [*steps, True]:
        if not isinstance(step, bool):
            answered[step] += 1
            counters.observe(*step, status=200 + 300 * (answered[step] % 2), seconds=0.01)
            continue
        counts = traffic.untold()
        if step:  # else nobody took them
            traffic.told(counts)
            told.update({(each.phase, each.route, each.side): each.requests for each in counts})
    assert told == answered


def test_a_count_names_route_and_side() -> None:
    counters = Counters()
    counters.observe("search", "GET /search", Side.MONOLITH, 200, 0.1)
    assert Traffic(counters).untold() == [TrafficCount("search", "GET /search", Side.MONOLITH, 1)]
