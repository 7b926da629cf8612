import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.errors import RouteError
from facade.headers import Refused
from facade.paths import segments
from facade.routes import Route, RouteTable

TABLE = RouteTable.compile(
    [
        Route("GET", "/", "root"),
        Route("GET", "/items", "items"),
        Route("POST", "/items", "items"),
        Route("GET", "/items/{id}", "items"),
        Route("GET", "/items/{id:int}/parts/{part}", "items"),
        Route("GET", "/items/new", "new"),
        Route("*", "/items/{id}/tags", "tags"),
        Route("GET", "/files/{name:path}", "files"),
        Route("GET", "/files/{name:path}/raw", "raw"),
        Route("GET", "/reports/{year}-{month}.pdf", "reports"),
        Route("POST", "/items/count", "items", kind="read"),
    ]
)
WALKED = RouteTable.compile([*TABLE.routes, Route("GET", "/{rest:path}", None)])


@pytest.mark.parametrize(
    ("method", "target", "phase", "parameters"),
    [
        ("GET", b"/", "root", {}),
        ("GET", b"", "root", {}),
        ("GET", b"/items", "items", {}),
        ("GET", b"/items?x=/files/a", "items", {}),
        ("HEAD", b"/items", "items", {}),
        ("GET", b"/items/new", "new", {}),
        ("GET", b"/items/42", "items", {"id": "42"}),
        ("GET", b"/items/4%202", "items", {"id": "4 2"}),
        ("GET", b"/items/42/parts/a", "items", {"id": "42", "part": "a"}),
        ("GET", b"/items/x/parts/a", None, {}),
        ("DELETE", b"/items/7/tags", "tags", {"id": "7"}),
        ("DELETE", b"/items/7", None, {}),
        ("GET", b"/files/a/b/c", "files", {"name": "a/b/c"}),
        ("GET", b"/files/", "files", {"name": ""}),
        ("GET", b"/reports/2026-01.pdf", "reports", {"year": "2026", "month": "01"}),
        ("GET", b"/Items", None, {}),
        ("get", b"/items", None, {}),
        ("GET", b"http://host/items/42?x", "items", {"id": "42"}),
        ("GET", b"http://host", "root", {}),
        ("OPTIONS", b"*", None, {}),
    ],
)
def test_matches(method: str, target: bytes, phase: str | None, parameters: dict[str, str]) -> None:
    match = TABLE.match(method.encode(), target)
    assert (match and match.route.phase) == phase
    if match:
        assert match.parameters == parameters


@pytest.mark.parametrize(
    "target",
    [
        b"/items/",
        b"//items",
        b"/./items",
        b"/a/../items",
        b"/a/%2e%2E/items",
        b"/%69tems",
        b"/../items",
        b"/a%2f..%2Fitems",
    ],
)
def test_other_spellings_of_a_path_are_the_same_route(target: bytes) -> None:
    match = TABLE.match(b"GET", target)
    assert match is not None
    assert match.route.path == "/items"


def test_what_is_decoded_is_not_decoded_again() -> None:
    assert segments(b"/a/%252e%252e/b") == ["a", "%2e%2e", "b"]


def test_the_kind_follows_the_method_unless_it_is_given() -> None:
    def write(method: str, target: bytes) -> bool:
        match = TABLE.match(method.encode(), target)
        assert match is not None
        return match.write

    assert not write("HEAD", b"/items")
    assert write("POST", b"/items")
    assert not write("POST", b"/items/count")
    assert write("PATCH", b"/items/1/tags")
    assert not write("GET", b"/items/1/tags")


def test_the_first_of_equal_routes_wins() -> None:
    table = RouteTable.compile([Route("GET", "/{a}", "first"), Route("GET", "/{b}", "second")])
    match = table.match(b"GET", b"/x")
    assert match is not None
    assert (match.route.phase, match.parameters) == ("first", {"a": "x"})


@pytest.mark.parametrize("path", ["items", "/{a", "/{a:what}", "/{a}/{a}", "/{}", "/a}b"])
def test_a_template_that_cannot_be_read_is_refused_by_name(path: str) -> None:
    with pytest.raises(RouteError, match=re.escape(repr(path))):
        RouteTable.compile([Route("GET", path, None)])


SEGMENT = st.text(st.sampled_from("ab%./;é"), min_size=1, max_size=4)


@given(st.lists(SEGMENT, max_size=6))
def test_normalising_leaves_no_way_around(parts: list[str]) -> None:
    found = segments(("/" + "/".join(parts)).encode())
    assert not {"", ".", ".."} & set(found)
    assert segments(("/" + "/".join(found)).encode("utf-8", "surrogateescape").replace(b"%", b"%25")) == found


@given(
    st.lists(st.sampled_from(["a", "b", "{x}", "{y}"]), min_size=1, max_size=4).filter(
        lambda p: len(set(p)) == len(p)
    )
)
def test_a_template_matches_its_own_instances(parts: list[str]) -> None:
    table = RouteTable.compile([Route("GET", "/" + "/".join(parts), "it")])
    values = {part.strip("{}"): f"v{n}" for n, part in enumerate(parts) if part.startswith("{")}
    path = "/" + "/".join(values.get(part.strip("{}"), part) for part in parts)
    match = table.match(b"GET", path.encode())
    assert match is not None
    assert dict(match.parameters) == values
    assert table.match(b"GET", path.encode() + b"/more") is None


SEGMENTS = st.sampled_from(
    ["items", "new", "42", "parts", "tags", "files", "raw", "a.pdf", "reports", "1-2.pdf"]
)


@given(st.lists(SEGMENTS, min_size=1, max_size=5))
def test_a_literal_beginning_is_no_short_cut_to_another_route(parts: list[str]) -> None:
    """Where something else is to be chosen from the first segment on, nothing is looked up at once."""
    anywhere = Route("GET", "/{rest:path}", None)
    target = "/".join(("", *parts)).encode()
    found, walked = TABLE.match(b"GET", target), WALKED.match(b"GET", target)
    assert walked is not None
    assert (found.route if found is not None else anywhere) == walked.route
    assert found is None or found.parameters == walked.parameters


@pytest.mark.parametrize(
    "target", [b"/items/..", b"/items/.", b"/items//", b"/items/%6eew", b"/items/new;a=b"]
)
def test_what_is_not_plain_is_not_looked_up_by_its_beginning(target: bytes) -> None:
    try:
        found = TABLE.match(b"GET", target)
    except Refused:
        return
    assert found is None or found.parameters.get("id") not in {"..", ".", "", "%6eew"}
