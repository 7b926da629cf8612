import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_rfc9535 import find

from facade.compare import Rules
from facade.compare_paths import RuleError, Segment, field_of, member_path, parse_path
from facade.compare_rules import Place, Rule, RuleKind, compile_rules

END = sys.maxsize


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("$", ()),
        ("$.a.b", (Segment(("a",)), Segment(("b",)))),
        ("$['a b'][\"c\"]", (Segment(("a b",)), Segment(("c",)))),
        (r"$['it\'s'].ü", (Segment(("it's",)), Segment(("ü",)))),
        (r"$['\u0041\n']", (Segment(("A\n",)),)),
        (r"$['\ud83d\ude00\/']", (Segment(("😀/",)),)),
        ("$[0][*].*", (Segment((0,)), Segment((None,)), Segment((None,)))),
        ("$..name", (Segment(("name",), deep=True),)),
        ("$..*", (Segment((None,), deep=True),)),
        ("$..[*].x", (Segment((None,), deep=True), Segment(("x",)))),
        ("$ [ 'a' , 'b',0 ]", (Segment(("a", "b", 0)),)),
        ("$..['a',*]", (Segment(("a", None), deep=True),)),
        (
            "$[1:3][2:][:4][:]",
            tuple(Segment((each,)) for each in (range(1, 3), range(2, END), range(4), range(END))),
        ),
        ("$[ 1 : 9 : 2 ][::3]", (Segment((range(1, 9, 2),)), Segment((range(0, END, 3),)))),
        ("$[1:2:0]", (Segment((range(0),)),)),
    ],
)
def test_a_path_is_read_as_rfc_9535_says(path: str, segments: tuple[Segment, ...]) -> None:
    assert parse_path(path) == segments


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("$.", "'.'"),
        ("$...a", "...a"),
        ("$a", "'a'"),
        ("$.1a", ".1a"),
        ("$.items[01]", "[01]"),
        ("$.items[1 2]", "[1 2]"),
        ("$.items[1,]", "]"),
        ("$['a", "'a"),
        (r"$['\x']", r"\\x"),
        (r"$['\\\"']", r"\\\""),
        (r"$['\ud800']", "ud800"),
        ("$['a\nb']", "b"),
    ],
)
def test_a_path_that_is_none_is_refused_where_it_stops_being_one(path: str, rest: str) -> None:
    with pytest.raises(RuleError, match="is not understood from") as refused:
        Rules(ignore=(path,))
    assert rest in str(refused.value)
    assert "[*]" in str(refused.value)


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("$.a[?@.b]", r"not by value.*\[\*\] for all items"),
        ("$.items[-1]", "Count from its beginning"),
        ("$.items[:-2]", "Count from its beginning"),
        ("$.items[::-1]", "Count from its beginning"),
    ],
)
def test_what_does_not_select_by_place_alone_is_refused(path: str, remedy: str) -> None:
    with pytest.raises(RuleError, match=remedy):
        Rules(ignore=(path,))


NAMES = st.sampled_from(["a", "b", "c'", 'd"', "ü", ""])
NAMED = NAMES.map(json.dumps)
SLICES = st.builds(
    "{}:{}:{}".format, *[st.sampled_from(["", "0", "1", "2"])] * 2, st.sampled_from(["", "1", "2"])
)
SELECTORS = NAMED | st.integers(0, 3).map(str) | SLICES | st.just("*")
SEGMENTS = st.tuples(st.sampled_from(["", ".."]), st.lists(SELECTORS, min_size=1, max_size=3)).map(
    lambda drawn: f"{drawn[0]}[{', '.join(drawn[1])}]"
)
PATHS = st.lists(SEGMENTS, max_size=3).map(lambda segments: "$" + "".join(segments))
DOCUMENTS = st.recursive(
    st.integers(0, 2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(PATHS, DOCUMENTS)
def test_rules_select_the_nodes_that_another_implementation_of_the_rfc_does(path: str, document: Any) -> None:
    ours = set(selected(document, compile_rules((Rule(RuleKind.UNORDERED, path),)), ()))
    theirs = {node.location for node in find(path, document)}
    assert ours == theirs


def selected(value: Any, place: Place, at: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    found = [at] if place.order is not None else []
    if isinstance(value, dict):
        below = [
            each for name, child in value.items() for each in selected(child, place.member(name), (*at, name))
        ]
        return found + below
    if isinstance(value, list):
        return found + [
            each
            for index, child in enumerate(value)
            for each in selected(child, place.item(index), (*at, index))
        ]
    return found


def test_a_path_without_its_root_is_refused() -> None:
    with pytest.raises(RuleError, match=r"must begin with '\$'"):
        Rules(ignore=("items[*].score",))


@pytest.mark.parametrize("name", ["a", "a.b", "it's", "back\\slash", "new\nline", "[0]", "", "ü", "0"])
def test_a_members_path_leads_back_to_it(name: str) -> None:
    assert parse_path(member_path("$", name)) == (Segment((name,)),)


def test_a_field_is_the_path_without_its_indexes() -> None:
    assert field_of("$.a[3]['b[4]'][0].c") == "$.a[*]['b[4]'][*].c"
