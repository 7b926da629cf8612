"""No spelling of a path leads around a route: what a framework would route there, the facade matches."""

from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.routing import Match
from starlette.routing import Route as Theirs

from facade.headers import Refused
from facade.routes import Route, RouteTable

TEMPLATES = (
    "/",
    "/search",
    "/search/{id}",
    "/search/{id:int}/parts",
    "/saved/",
    "/files/{name:path}",
    "/files/{name:path}/raw",
    "/reports/{year}-{month}.pdf",
    "/deep/{a}/b/{c}",
    "/prices/{price:float}",
)
TABLE = RouteTable.compile(Route("GET", template, template) for template in TEMPLATES)


async def endpoint(request: object) -> None:
    """Never called: only its route is looked at."""


THEIRS = [Theirs(template, endpoint) for template in TEMPLATES]

PIECE = st.one_of(
    st.sampled_from(
        ["search", "saved", "files", "raw", "deep", "b", "parts", "reports", "prices", "1", "2.5"]
    ),
    st.sampled_from(
        ["..", ".", "", "%2e", "%2E%2e", ".%2e", "%252e%252e", "2026-01.pdf", "Search", "SAVED", "x"]
    ),
    st.sampled_from(
        ["%73earch", "search%0A", "1%0a", "search;a=1", "search%3Ba", ";", "%00", "%ff", "caf%C3%A9"]
    ),
)
JOINT = st.sampled_from(["/"] * 8 + ["//", "%2F", "%2f", "/./", "/../", "/%2e%2e/", "\\", "%5C"])
END = st.sampled_from(
    [""] * 4 + ["/", "//", "%2F", "%0A", "/%0A", "?a=/search", "?", "/..", "/.", ";x=1", "#a"]
)
START = st.sampled_from(
    ["/"] * 8 + ["//", "/./", "/../", "/x/../", "http://a/", "http://a//", "http://a?x=/"]
)


@st.composite
def targets(draw: st.DrawFn) -> str:
    target = draw(START)
    for piece in draw(st.lists(PIECE, max_size=4)):
        target += piece + draw(JOINT)
    return target + draw(PIECE) + draw(END)


def as_served(target: str) -> str:
    """The path that an ASGI server hands to its application."""
    path = target.removeprefix("http://a").partition("?")[0].partition("#")[0]
    return unquote(path) or "/"


def claimed(target: str) -> str | None:
    match = TABLE.match(b"GET", target.encode())
    return match.route.path if match is not None else None


@settings(max_examples=3000)
@given(targets())
@example("/search%0A")
@example("/files//raw")
@example("/files/../search")
@example("http://a?x=/search")
@example("/search/%2e%2e/saved/")
def test_what_starlette_routes_is_matched_or_refused(target: str) -> None:
    scope = {"type": "http", "method": "GET", "path": as_served(target), "root_path": "", "headers": []}
    routed = [route.path for route in THEIRS if route.matches(scope)[0] is Match.FULL]
    try:
        found = claimed(target)
    except Refused:
        return
    assert not routed or found in routed


@pytest.mark.parametrize(
    ("target", "route"),
    [
        ("/search", "/search"),
        ("/search/", "/search"),
        ("//search", "/search"),
        ("/search%0A", "/search"),
        ("/x/../search", "/search"),
        ("/x/%2e%2E/search", "/search"),
        ("/x%2F..%2fsearch", "/search"),
        ("/search;v=1", "/search"),
        ("/saved;v=1/", "/saved/"),
        ("/search/a;b", "/search/{id}"),
        ("http://a?x=/search", "/"),
        ("/Search", None),
        ("/x/search", None),
    ],
)
def test_one_normalisation(target: str, route: str | None) -> None:
    assert claimed(target) == route


@pytest.mark.parametrize("target", ["/files/../search", "/files/x/%2e%2e/%2E%2E/search", "/search/."])
def test_a_path_of_two_routes_is_refused(target: str) -> None:
    with pytest.raises(Refused, match="different ways"):
        claimed(target)


@given(targets())
def test_the_plainest_reading_gives_the_parameters(target: str) -> None:
    """They are what the upstream will see, so the routing key is too."""
    try:
        match = TABLE.match(b"GET", target.encode())
    except Refused:
        return
    if match is not None and match.route.path == "/files/{name:path}" and "\ufffd" not in as_served(target):
        plain = as_served(target).encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        if plain.startswith("/files/") and ";" not in plain:
            assert match.parameters["name"] == plain.removeprefix("/files/")
