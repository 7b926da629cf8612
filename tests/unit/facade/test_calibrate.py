"""What one calibrated request shows."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.noisy import answer
from facade.calibrate import Pair, calibrate
from facade.compare import Answer, Rules, compare
from facade.compare_location import Asked

NAMES = st.sampled_from(["a", "b[*]", "it's", "me@example.org", "sk_live_aBcDeFgHiJkLmNoP'"])
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.integers(0, 3) | st.text("ab", max_size=2),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=3,
)


def pair(primary: Any, again: Any, shadow: Any) -> Pair:
    sides = (each if isinstance(each, Answer) else answer(each) for each in (primary, again, shadow))
    return calibrate(*sides, Rules(), Asked())


@given(DOCUMENTS, DOCUMENTS)
def test_whatever_differs_is_seen_on_either_side_alike(one: Any, other: Any) -> None:
    found = pair(one, other, other)
    assert found.monolith.keys() == found.service
    assert found.differs == bool(compare(answer(one), answer(other), Rules()).differences)


def test_lists_in_another_order_differ_in_that_alone() -> None:
    one = {"n": [{"deep": [1, 2, 3]}, {"deep": [4]}], "b[*]": ["x", "y", "z"], "at": 1}
    other = {"n": [{"deep": [4]}, {"deep": [3, 1, 2]}], "b[*]": ["z", "x", "y"], "at": 2}
    found = pair(one, other, one)
    assert set(found.monolith) == {
        ("$.at", "value"),
        ("$.n", "order"),
        ("$.n[*].deep", "order"),
        ("$['b[*]']", "order"),
    }
    assert found.service == set()


def test_an_item_that_is_lost_is_lost_in_any_order() -> None:
    found = pair({"a": [1, 2, 3]}, {"a": [3, 1]}, {"a": [3, 2, 1]})
    assert {kind for _, kind in found.monolith} & {"missing", "extra"}
    assert found.service == {("$.a", "order")}


def test_other_answers_are_told_by_status_and_digest() -> None:
    text = [Answer(200, ((b"content-type", b"text/plain"),), body) for body in (b"a", b"b")]
    found = pair(text[0], text[1], Answer(500, (), b""))
    assert set(found.monolith) == {("body", "body")}
    assert found.service == {("status", "status")}


def test_i9_traits_hold_no_value() -> None:
    found = pair({"password": "hunter2"}, {"password": "hunter3"}, {"password": "hunter2"})
    assert "hunter" not in repr(found)
