import pytest

from facade.compare import Rules
from facade.compare_paths import RuleError, Segment, field_of, member_path, parse_path


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("$", ()),
        ("$.a.b", (Segment("a", deep=False), Segment("b", deep=False))),
        ("$['a b'][\"c\"]", (Segment("a b", deep=False), Segment("c", deep=False))),
        (r"$['it\'s'].ü", (Segment("it's", deep=False), Segment("ü", deep=False))),
        (r"$['\u0041\n']", (Segment("A\n", deep=False),)),
        ("$[0][*].*", (Segment(0, deep=False), Segment(None, deep=False), Segment(None, deep=False))),
        ("$..name", (Segment("name", deep=True),)),
        ("$..*", (Segment(None, deep=True),)),
        ("$..[*].x", (Segment(None, deep=True), Segment("x", deep=False))),
    ],
)
def test_a_path_is_read_as_rfc_9535_says(path: str, segments: tuple[Segment, ...]) -> None:
    assert parse_path(path) == segments


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("$.items[-1]", "[-1]"),
        ("$.items[1:2]", "[1:2]"),
        ("$.a[?@.b]", "[?@.b]"),
        ("$.a['b','c']", "['b','c']"),
        ("$.", "'.'"),
        ("$...a", "...a"),
        ("$a", "'a'"),
        ("$.1a", ".1a"),
        ("$.items[01]", "[01]"),
        ("$['a", "['a"),
    ],
)
def test_a_path_outside_the_subset_is_refused_where_it_leaves_it(path: str, rest: str) -> None:
    with pytest.raises(RuleError, match="is not understood from") as refused:
        Rules(ignore=(path,))
    assert rest in str(refused.value)
    assert "[*]" in str(refused.value)


def test_a_path_without_its_root_is_refused() -> None:
    with pytest.raises(RuleError, match=r"must begin with '\$'"):
        Rules(ignore=("items[*].score",))


@pytest.mark.parametrize("name", ["a", "a.b", "it's", "back\\slash", "new\nline", "[0]", "", "ü", "0"])
def test_a_members_path_leads_back_to_it(name: str) -> None:
    assert parse_path(member_path("$", name)) == (Segment(name, deep=False),)


def test_a_field_is_the_path_without_its_indexes() -> None:
    assert field_of("$.a[3]['b[4]'][0].c") == "$.a[*]['b[4]'][*].c"
