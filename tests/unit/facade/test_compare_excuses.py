"""Each kind of rule hides what it says, is counted for it, and hides nothing else."""

import json
import random
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.compare_decode import decode
from facade.compare_json import JsonOutcome, compare_json
from facade.compare_rules import Rule, RuleKind, compile_rules
from facade.compare_values import SHAPES

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=3) | st.floats(0, 9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def between(primary: Any, shadow: Any, *rules: Rule) -> JsonOutcome:
    ours, theirs = (decode(json.dumps(side).encode()) for side in (primary, shadow))
    return compare_json(ours, theirs, compile_rules(rules))


def fields(primary: Any, shadow: Any, *rules: Rule) -> dict[tuple[str, str], int]:
    return dict(between(primary, shadow, *rules).fields)


def shuffled(items: list[Any], seed: int) -> list[Any]:
    return random.Random(seed).sample(items, len(items))


UNORDERED = Rule(RuleKind.UNORDERED, "$")
KEYED = Rule(RuleKind.KEYED, "$", "id")
EVERYWHERE = (
    *(Rule(RuleKind.SHAPE, "$..*", name) for name in SHAPES),
    Rule(RuleKind.TOLERANCE, "$..*", "100%"),
    Rule(RuleKind.TOLERANCE, "$..*", "99s"),
)


@given(VALUES, VALUES)
def test_a_tolerance_or_shape_never_hides_structure_or_type(one: Any, other: Any) -> None:
    # Aligned lists may be paired otherwise once values are excused, so each list holds one item at most.
    one, other = (json.loads(json.dumps(side), object_hook=_short) for side in (one, other))
    one, other = (side[:1] if isinstance(side, list) else side for side in (one, other))
    bare, excused = fields([one], [other]), fields([one], [other], *EVERYWHERE)
    if not (_lists(one) or _lists(other)):
        structure, left = (
            {key: n for key, n in each.items() if key[1] != "value"} for each in (bare, excused)
        )
        # A whole number that became another with a fraction is of another type once its value is excused.
        turned = {(path, kind) for path, kind in left if kind == "type" and (path, "value") in bare}
        assert {key: n for key, n in left.items() if key not in turned} == structure
        assert set(excused) - turned <= set(bare)


def _short(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value[:1] if isinstance(value, list) else value for name, value in members.items()}


def _lists(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_lists, value.values()))
    return isinstance(value, list) and (len(value) > 1 or any(map(_lists, value)))


@pytest.mark.parametrize("other", ["1.0", '"1"', "true", "null", "[]", "{}"])
def test_another_type_is_never_within_a_tolerance_or_a_shape(other: str) -> None:
    outcome = compare_json(
        decode(b'{"a": 1}'), decode(b'{"a": %b}' % other.encode()), compile_rules(EVERYWHERE)
    )
    assert outcome.fields == {("$.a", "type"): 1}
    assert not outcome.rules


@given(st.lists(VALUES, max_size=8), st.integers())
def test_the_order_of_an_unordered_list_means_nothing(items: list[Any], seed: int) -> None:
    other = shuffled(items, seed)
    outcome = between(items, other, UNORDERED)
    assert not outcome.differences
    assert bool(outcome.rules) == bool(between(items, other).differences)


@given(st.lists(VALUES, max_size=8), st.integers())
def test_an_item_too_many_in_an_unordered_list_is_exactly_one_difference(items: list[Any], seed: int) -> None:
    more = shuffled([*items, {"only": "one of its kind"}], seed)
    assert fields(items, more, UNORDERED) == {("$[*]", "extra"): 1}
    assert fields(more, items, UNORDERED) == {("$[*]", "missing"): 1}


@given(st.lists(st.integers(0, 50), unique=True, min_size=1, max_size=20), st.integers(), st.data())
def test_keyed_items_are_compared_with_their_namesakes(
    ids: list[int], seed: int, data: st.DataObject
) -> None:
    items = [{"id": number, "title": f"t{number}"} for number in ids]
    chosen = data.draw(st.sampled_from(ids))
    edited = shuffled([{**item, "title": "new"} if item["id"] == chosen else item for item in items], seed)
    outcome = between(items, edited, KEYED)
    assert outcome.fields == {("$[*].title", "value"): 1}
    assert outcome.differences[0].path == f"$[{ids.index(chosen)}].title"
    others = [item for item in edited if item["id"] != chosen]
    assert fields(items, others, KEYED) == {("$[*]", "missing"): 1}


def test_an_item_of_another_key_is_another_item() -> None:
    outcome = between([{"id": 1, "a": 1}], [{"id": 2, "a": 1}, {"id": 3}], KEYED)
    assert outcome.fields == {("$[*]", "missing"): 1, ("$[*]", "extra"): 2}


def test_items_without_a_key_of_their_own_are_still_compared() -> None:
    odd: list[Any] = [{"id": 1}, {"id": 1}, {"name": "x"}, 7, {"id": [1]}]
    assert not between(odd, odd[::-1], KEYED).differences
    assert fields(odd, [*odd[::-1][:-1], {"id": 1, "more": 1}], KEYED) == {("$[*].more", "extra"): 1}


def test_an_unordered_list_within_a_tolerance() -> None:
    near = Rule(RuleKind.TOLERANCE, "$[*]", "0.1")
    outcome = between([1.0, 2.0, 3.0], [3.05, 1.01], UNORDERED, near)
    assert outcome.fields == {("$[*]", "missing"): 1}
    assert outcome.differences[0].path == "$[1]"
    assert outcome.rules == {str(UNORDERED): 1, str(near): 2}


def test_unordered_objects_whose_numbers_drift_find_each_other() -> None:
    near = Rule(RuleKind.TOLERANCE, "$[*].price", "0.1")
    items = [{"price": float(n)} for n in range(15)]
    drifted = shuffled([{"price": n + 0.05} for n in range(15)], 3)
    assert between(items, drifted, UNORDERED, near).rules == {str(UNORDERED): 1, str(near): 15}
    assert not between(items, drifted, UNORDERED, near).differences


def test_shapes_everywhere_leave_items_their_identity() -> None:
    items = [{"name": f"n{n}", "at": "2024-01-01T00:00:00Z"} for n in range(6)]
    others = [{**item, "at": "2025-01-01T00:00:00Z"} for item in items if item["name"] != "n2"]
    assert fields(items, others, Rule(RuleKind.SHAPE, "$..*", "time")) == {("$[*]", "missing"): 1}


def test_unordered_lists_inside_items_do_not_spoil_their_alignment() -> None:
    rule = Rule(RuleKind.UNORDERED, "$[*].tags")
    items = [{"tags": [n, n + 1]} for n in range(9)]
    others = [{"tags": item["tags"][::-1]} for item in items[1:]]
    outcome = between(items, others, rule)
    assert outcome.fields == {("$[*]", "missing"): 1}
    assert outcome.rules == {str(rule): 8}


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("xyz"), VALUES))
def test_a_superset_may_only_have_more(ours: dict[str, Any], more: dict[str, Any]) -> None:
    rule = Rule(RuleKind.SUPERSET, "$")
    outcome = between(ours, {**ours, **more}, rule)
    assert not outcome.differences
    assert outcome.rules == ({str(rule): len(more)} if more else {})
    assert len(between({**ours, **more}, ours, rule).fields) == len(more)


def test_a_superset_holds_at_its_place_alone() -> None:
    rule = Rule(RuleKind.SUPERSET, "$.items[*]")
    outcome = between({"items": [{"a": {}}]}, {"items": [{"a": {"b": 1}, "c": 1}], "d": 1}, rule)
    assert outcome.fields == {("$.items[*].a.b", "extra"): 1, ("$.d", "extra"): 1}
    assert outcome.rules == {str(rule): 1}


@given(st.dictionaries(st.sampled_from("abcd"), st.none() | VALUES))
def test_null_stands_for_absent_and_nothing_else_does(members: dict[str, Any]) -> None:
    rule = Rule(RuleKind.NULL_AS_ABSENT, "$.*")
    bare = {name: value for name, value in members.items() if value is not None}
    lost = len(members) - len(bare)
    for one, other in ((members, bare), (bare, members)):
        outcome = between(one, other, rule)
        assert not outcome.differences
        assert outcome.rules == ({str(rule): lost} if lost else {})
    assert len(fields(bare, {}, rule)) == len(bare)


@pytest.mark.parametrize(
    ("kind", "monolith", "service", "differs"),
    [
        (RuleKind.SUBSET, {"a": 1, "b": 2}, {"a": 1}, False),
        (RuleKind.SUBSET, {"a": 1}, {"a": 1, "b": 2}, True),
        (RuleKind.SUPERSET, {"a": 1, "b": 2}, {"a": 1}, True),
        (RuleKind.NULL_FOR_ABSENT, {}, {"a": None}, False),
        (RuleKind.NULL_FOR_ABSENT, {"a": None}, {}, True),
        (RuleKind.ABSENT_FOR_NULL, {"a": None}, {}, False),
        (RuleKind.ABSENT_FOR_NULL, {}, {"a": None}, True),
        (RuleKind.ABSENT_FOR_NULL, {"a": 1}, {}, True),
    ],
)
def test_a_rule_of_one_way_holds_that_way_alone(
    kind: RuleKind, monolith: Any, service: Any, differs: bool
) -> None:
    rule = Rule(kind, "$" if kind in {RuleKind.SUBSET, RuleKind.SUPERSET} else "$.*")
    outcome = between(monolith, service, rule)
    assert bool(outcome.differences) is differs
    assert outcome.rules == ({} if differs else {str(rule): 1})


def test_a_superset_and_a_subset_hold_both_ways() -> None:
    both = Rule(RuleKind.SUPERSET, "$"), Rule(RuleKind.SUBSET, "$")
    assert not between({"a": 1, "b": 2}, {"a": 1, "c": 3}, *both).differences
    assert fields({"a": 1, "b": 2}, {"a": 2, "c": 3}, *both) == {("$.a", "value"): 1}


@pytest.mark.parametrize(
    ("monolith", "service", "kinds"),
    [
        ("1", "1.0", set()),
        ("1e2", "100", set()),
        ("123456789012345678901234567890", "123456789012345678901234567890.0", set()),
        ("1e999", "1e999", set()),
        ("1", "1.5", {"value"}),
        ("1", "true", {"type"}),
        ("1", '"1"', {"type"}),
        ("9007199254740993", "9007199254740992.0", {"value"}),
    ],
)
def test_one_number_in_two_forms_is_the_same_by_rule_only(
    monolith: str, service: str, kinds: set[str]
) -> None:
    rule = Rule(RuleKind.NUMBER_FORM, "$.n")
    ours, theirs = (decode(b'{"n": %b}' % side.encode()) for side in (monolith, service))
    assert {each.kind for each in compare_json(ours, theirs, compile_rules((rule,))).differences} == kinds


def test_a_tolerance_does_not_hide_that_a_number_lost_its_fraction() -> None:
    near, form = Rule(RuleKind.TOLERANCE, "$.n", "1"), Rule(RuleKind.NUMBER_FORM, "$.n")
    assert fields({"n": 1.25}, {"n": 1}, near) == {("$.n", "type"): 1}
    assert between({"n": 1.25}, {"n": 1}, near, form).rules == {str(near): 1}
    assert fields({"n": 1.25}, {"n": 9}, near, form) == {("$.n", "value"): 1}


@given(st.text())
def test_one_text_in_two_forms_is_the_same_by_rule_only(text: str) -> None:
    rule = Rule(RuleKind.UNICODE_FORM, "$")
    composed, taken_apart = normalize("NFC", text), normalize("NFD", text)
    outcome = between(composed, taken_apart, rule)
    assert not outcome.differences
    assert bool(outcome.rules) == bool(between(composed, taken_apart).differences)
    assert fields(composed, taken_apart + "!", rule) == {("$", "value"): 1}


@pytest.mark.parametrize("rule", [RuleKind.NUMBER_FORM, RuleKind.UNICODE_FORM])
def test_items_in_another_form_and_order_find_each_other(rule: RuleKind) -> None:
    items = [{"name": "\u00e9", "price": 1}, {"name": "\u00fc", "price": 2}, {"name": "o", "price": 3}]
    if rule is RuleKind.NUMBER_FORM:
        others = [{**item, "price": item["price"] * 1.0} for item in items]
    else:
        others = [{**item, "name": normalize("NFD", item["name"])} for item in items]
    outcome = between(items, others[::-1], UNORDERED, Rule(rule, "$[*].*"))
    assert not outcome.differences
    plain = between([item["name"] for item in items], [item["name"] for item in others][::-1])
    assert plain.differences


def test_null_is_no_value_and_a_lists_null_is_an_item() -> None:
    rule = Rule(RuleKind.NULL_AS_ABSENT, "$..*")
    assert fields({"a": None}, {"a": 0}, rule) == {("$.a", "type"): 1}
    assert fields({"a": [None, 1]}, {"a": [1]}, rule) == {("$.a[*]", "missing"): 1}


def test_volatile_members_are_judged_by_shape_and_do_not_spoil_the_alignment() -> None:
    rule = Rule(RuleKind.SHAPE, "$[*].at", "time")
    items = [{"at": f"2024-01-0{n}T00:00:00Z", "title": "same"} for n in range(1, 9)]
    others = [{"at": f"2025-01-0{n}T00:00:00Z", "title": "same"} for n in range(1, 9)]
    others[3]["at"] = "yesterday"
    outcome = between(items, others, rule)
    assert outcome.fields == {("$[*].at", "value"): 1}
    assert outcome.rules == {str(rule): 7}


def test_what_is_ignored_counts_as_that_before_anything_else() -> None:
    ignore = Rule(RuleKind.IGNORE, "$.a")
    rules = (Rule(RuleKind.NULL_AS_ABSENT, "$.a"), Rule(RuleKind.SUPERSET, "$"), ignore)
    assert between({}, {"a": None}, *rules).rules == {str(ignore): 1}
