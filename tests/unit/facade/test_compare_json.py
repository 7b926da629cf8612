"""One known edit to any JSON document is reported as exactly that edit."""

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facade.compare_decode import NotJsonError, decode
from facade.compare_json import JsonOutcome, compare_json
from facade.compare_paths import field_of, member_path
from facade.compare_rules import Rule, RuleKind, compile_rules

NAMES = st.text(st.sampled_from("abcdef.[]'ü0"), max_size=3)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=30,
)


def between(primary: Any, shadow: Any, *ignore: str) -> JsonOutcome:
    ours, theirs = (decode(json.dumps(side).encode()) for side in (primary, shadow))
    return compare_json(ours, theirs, compile_rules(tuple(Rule(RuleKind.IGNORE, path) for path in ignore)))


def found(primary: Any, shadow: Any, *ignore: str) -> list[tuple[str, str]]:
    return [(each.path, each.kind) for each in between(primary, shadow, *ignore).differences]


def places(value: Any, path: str = "$") -> list[tuple[str, Any]]:
    """Every container below ``value`` with its path."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [place for name, child in value.items() for place in places(child, member_path(path, name))]
    elif isinstance(value, list):
        inner = [place for at, child in enumerate(value) for place in places(child, f"{path}[{at}]")]
    else:
        return []
    return [(path, value), *inner]


def shuffled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(DOCUMENTS)
def test_equal_documents_have_no_difference_whatever_the_order_of_members(document: Any) -> None:
    outcome = between(document, shuffled(document))
    assert outcome == JsonOutcome((), {}, {})


@given(DOCUMENTS, st.data())
def test_a_changed_value_is_exactly_one_difference(document: Any, data: st.DataObject) -> None:
    containers = [place for place in places(document) if place[1]]
    assume(containers)
    path, _ = data.draw(st.sampled_from(containers))
    edited = copy.deepcopy(document)
    target = dict(places(edited))[path]
    key = data.draw(st.sampled_from(list(target) if isinstance(target, dict) else range(len(target))))
    new = {"changed": "the only one of its kind"}
    before, target[key] = target[key], new
    # An object that replaces an object is compared member by member; every other edit is of the type.
    assume(not isinstance(before, dict))
    where = member_path(path, key) if isinstance(key, str) else f"{path}[{key}]"
    assert found(document, edited) == [(where, "type")]


UNIQUE: dict[type, Any] = {str: "the only one of its kind", int: 10**40, float: 1.5e300}


@given(DOCUMENTS, st.data(), st.booleans())
def test_another_value_of_one_type_is_exactly_one_difference(
    document: Any, data: st.DataObject, ruled: bool
) -> None:
    leaves = [
        (path, key)
        for path, inside in places(document)
        for key, value in (inside.items() if isinstance(inside, dict) else enumerate(inside))
        if type(value) in UNIQUE and value != UNIQUE[type(value)]
    ]
    assume(leaves)
    path, key = data.draw(st.sampled_from(leaves))
    edited = copy.deepcopy(document)
    target = dict(places(edited))[path]
    target[key] = UNIQUE[type(target[key])]
    where = member_path(path, key) if isinstance(key, str) else f"{path}[{key}]"
    assert found(document, edited, *(["$..nowhere"] if ruled else [])) == [(where, "value")]
    assert found(document, edited, where) == []


@given(DOCUMENTS, st.data())
def test_an_added_or_lost_member_is_exactly_one_difference(document: Any, data: st.DataObject) -> None:
    containers = [place for place in places(document) if isinstance(place[1], dict)]
    assume(containers)
    path, _ = data.draw(st.sampled_from(containers))
    edited = copy.deepcopy(document)
    dict(places(edited))[path]["added"] = 1
    assert found(document, edited) == [(f"{path}.added", "extra")]
    assert found(edited, document) == [(f"{path}.added", "missing")]


@given(DOCUMENTS, st.data())
def test_an_inserted_or_lost_item_is_exactly_one_difference(document: Any, data: st.DataObject) -> None:
    containers = [place for place in places(document) if isinstance(place[1], list)]
    assume(containers)
    path, items = data.draw(st.sampled_from(containers))
    at = data.draw(st.integers(0, len(items)))
    edited = copy.deepcopy(document)
    dict(places(edited))[path].insert(at, "the only one of its kind")
    assert found(document, edited) == [(f"{path}[{at}]", "extra")]
    assert found(edited, document) == [(f"{path}[{at}]", "missing")]


@given(DOCUMENTS, DOCUMENTS)
def test_a_comparison_turned_round_finds_differences_too(one: Any, other: Any) -> None:
    assert bool(between(one, other).differences) == bool(between(other, one).differences)


@given(DOCUMENTS, st.integers(), st.integers())
def test_an_ignore_rule_hides_what_it_selects_and_nothing_else(document: Any, one: int, other: int) -> None:
    primary, shadow = {"at": one, "kept": document}, {"at": other, "kept": [document]}
    everything = between(primary, shadow)
    hidden = between(primary, shadow, "$.at")
    assert [each for each in everything.differences if each.path != "$.at"] == list(hidden.differences)
    assert hidden.rules == ({"ignore $.at": 1} if one != other else {})


@given(DOCUMENTS, DOCUMENTS)
def test_ignoring_the_root_hides_everything(one: Any, other: Any) -> None:
    outcome = between(one, other, "$")
    assert outcome.differences == ()
    assert bool(outcome.rules) == bool(between(one, other).differences)


@pytest.mark.parametrize(
    ("primary", "shadow", "kind"),
    [
        ("true", "1", "type"),
        ("false", "0", "type"),
        ("1", "1.0", "type"),
        ("1", '"1"', "type"),
        ("null", "0", "type"),
        ("null", '""', "type"),
        ("{}", "[]", "type"),
        ("1", "1.5", "value"),
        ("1", "2", "value"),
        ("9007199254740992", "9007199254740993", "value"),
        ("123456789012345678901234567890", "123456789012345678901234567891", "value"),
        ("0.1", "0.10000000000000001", "value"),
        ("1e400", "1e401", "value"),
        ('"é"', '"e\\u0301"', "value"),
        ('{"a": 1, "a": 2}', '{"a": 2}', None),
    ],
)
def test_values_differ_by_kind(primary: str, shadow: str, kind: str | None) -> None:
    outcome = compare_json(decode(primary.encode()), decode(shadow.encode()), compile_rules(()))
    assert [each.kind for each in outcome.differences] == [kind or "length"]


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        ("1.0", "1.00"),
        ("1.5e0", "1.5"),
        ("1E2", "100.0"),
        ("-0.0", "0.0"),
        ('"\\u00e9"', '"é"'),
        (" [1 ]", "[1]"),
    ],
)
def test_spellings_of_one_value_are_equal(primary: str, shadow: str) -> None:
    assert not compare_json(decode(primary.encode()), decode(shadow.encode()), compile_rules(())).differences


@pytest.mark.parametrize("odd", [10**30, "\ud800", [[[1]]]])
def test_items_beyond_the_fast_signature_are_still_aligned(odd: Any) -> None:
    assert found([odd, 1, odd, 2], [0, odd, 1, odd, 2]) == [("$[0]", "extra")]


def test_a_repeated_member_is_noticed() -> None:
    twice, same = decode(b'{"a": 1, "a": {"b": 2}}'), decode(b'{"a": 1, "a": {"b": 3}}')
    rules = compile_rules(())
    (once,) = compare_json(twice, decode(b'{"a": {"b": 2}}'), rules).differences
    assert (once.path, once.kind, once.primary, once.shadow) == (
        "$.a",
        "length",
        "given 2 times",
        "given once",
    )
    assert [(each.path, each.kind) for each in compare_json(twice, same, rules).differences] == [
        ("$.a.b", "value")
    ]
    (differs,) = compare_json(decode(b'[{"a":1,"a":2}]'), decode(b'[{"a":[1,2]}]'), rules).differences
    assert (differs.path, differs.kind) == ("$[0].a", "length")


def test_an_item_inserted_among_changed_ones_does_not_shift_the_rest() -> None:
    primary = [{"id": n, "title": f"title {n}", "seen": n} for n in range(60)]
    shadow = [{**item, "seen": item["seen"] + 1000} for item in primary]
    shadow.insert(10, {"id": 999, "title": "new", "seen": 0})
    del shadow[40]
    outcome = between(primary, shadow)
    assert outcome.fields == {("$[*]", "extra"): 1, ("$[*]", "missing"): 1, ("$[*].seen", "value"): 59}


def test_an_ignored_volatile_member_does_not_spoil_the_alignment() -> None:
    primary = [{"score": n / 7, "title": "same"} for n in range(9)]
    shadow = [{"score": n / 3, "title": "same"} for n in range(8)]
    outcome = between(primary, shadow, "$[*].score")
    assert outcome.fields == {("$[*]", "missing"): 1}
    assert outcome.rules == {"ignore $[*].score": 7}


def test_objects_are_paired_by_likeness_where_nothing_names_them() -> None:
    primary = [{"a": 1, "b": 2, "c": 3}]
    shadow = [{"x": 1}, {"a": 1, "b": 2, "c": 4}]
    assert found(primary, shadow) == [("$[0].c", "value"), ("$[0]", "extra")] or found(primary, shadow) == [
        ("$[0]", "extra"),
        ("$[0].c", "value"),
    ]


def test_every_difference_is_counted_and_the_first_few_are_kept() -> None:
    outcome = between({"items": list(range(50))}, {"items": [str(n) for n in range(50)]})
    assert outcome.fields == {("$.items[*]", "type"): 50}
    assert len(outcome.differences) == 5


def test_documents_without_anything_in_common_end_the_comparison_early() -> None:
    outcome = between({str(n): n for n in range(5000)}, {})
    assert len(outcome.fields) == 200
    assert between(list(range(9000)), [str(n) for n in range(9000)]).fields == {("$[*]", "type"): 5000}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "not JSON from character 0"),
        (b"", "not JSON from character 0"),
        (b'{"a": NaN}', "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
        (b'"\xff"', "not UTF-8"),
        (b"1" * 5000, "too large"),
        (b"1e99999999999999999999", "too large"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_document_says_why(body: bytes, why: str) -> None:
    with pytest.raises(NotJsonError, match=why):
        decode(body)


def test_fields_of_samples_and_counts_agree() -> None:
    outcome = between({"a[0]": [1, 2], "b": [[1]]}, {"a[0]": [1, 3], "b": [[2]]})
    assert {(field_of(each.path), each.kind) for each in outcome.differences} == set(outcome.fields)
