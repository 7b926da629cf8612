"""Paths nobody described get templates of their own."""

from hypothesis import given
from hypothesis import strategies as st

from facade.grouping import MOST_CHILDREN, MOST_GROUPS, Templates

SAMPLE = "6f1c2d3e-0000-4000-8000-00000000000a"


def of(*paths: str) -> list[str]:
    templates = Templates()
    return [templates.of(path.split("/")[1:]) for path in paths]


def test_what_looks_like_an_id_is_a_parameter() -> None:
    assert of(
        "/items/7", "/items/8/price", f"/users/{SAMPLE}", "/log/2026-03-01", "/img/d41d8cd98f00b204.png"
    ) == [
        "/items/{id}",
        "/items/{id}/price",
        "/users/{uuid}",
        "/log/{date}",
        "/img/{token}",
    ]
    assert of("/a/d41d8cd98f00b204", "/a/ann@example.org", "/a/two words", "/a/v2/edit") == [
        "/a/{hash}",
        "/a/{text}",
        "/a/{text}",
        "/a/v2/edit",
    ]


def test_too_many_texts_in_one_place_are_a_parameter() -> None:
    templates = Templates()
    names = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(100, 180)]
    found = [templates.of(["shops", name, "offers"]) for name in names]
    assert found[:MOST_CHILDREN] == [f"/shops/{name}/offers" for name in names[:MOST_CHILDREN]]
    assert set(found[MOST_CHILDREN:]) == {"/shops/{name}/offers"}
    assert templates.of(["shops", names[0], "offers"]) == f"/shops/{names[0]}/offers"


@given(st.lists(st.lists(st.text(max_size=5), max_size=14), max_size=20))
def test_a_template_is_the_same_for_the_same_path_at_once(paths: list[list[str]]) -> None:
    templates = Templates()
    for path in paths:
        assert templates.of(path) == templates.of(path)


def test_i9_a_secret_in_a_path_is_in_no_template() -> None:
    assert of("/reset/sk_live_aBcDeFgHiJkLmNoP") == ["/reset/{token}"]


def test_templates_do_not_grow_without_end() -> None:
    templates = Templates()
    letters = "abcdefghijklmnopqrst"
    found = {templates.of([a, b, c]) for a in letters for b in letters for c in letters[:4]}
    assert len(found) == MOST_GROUPS + 1
    assert "…" in found
