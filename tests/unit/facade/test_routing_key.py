import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.edge import Edge
from facade.errors import RoutingKeyError
from facade.headers import Fields, parse_fields
from facade.routing_key import RoutingKey, claim, pointer


def fields(*lines: bytes) -> Fields:
    block = b"".join(line + b"\r\n" for line in (b"Host: a", *lines))
    return parse_fields(block, edge=Edge(b"::1", trusted=False, scheme=b"http"), http10=False, most=100)


def token(payload: object) -> bytes:
    part = base64.urlsafe_b64encode(json.dumps(payload).encode()).rstrip(b"=")
    return b"e30." + part + b".signature"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("jwt:sub", "u-1"),
        ("header:X-User", "7"),
        ("cookie:sid", "abc"),
        ("path:id", "42"),
        ("query:tenant", "ac/me"),
        ("body:/user/id", "9"),
        ("header:X-None", None),
        ("cookie:none", None),
        ("path:none", None),
        ("query:none", None),
        ("body:/none", None),
        ("jwt:none", None),
    ],
)
def test_extracts(key: str, expected: str | None) -> None:
    given_fields = fields(
        b"authorization: bearer " + token({"sub": "u-1"}), b"x-user: 7", b'Cookie: a=1; sid="abc"'
    )
    found = RoutingKey.parse(key).extract(
        given_fields, b"/items/42?a=b&tenant=ac%2Fme", {"id": "42"}, b'{"user": {"id": 9}}'
    )
    assert found == expected


@pytest.mark.parametrize("text", ["", "sub", "jwt:", "claim:sub", "body:user"])
def test_a_key_that_is_not_understood_is_refused_by_name(text: str) -> None:
    with pytest.raises(RoutingKeyError, match=repr(text)):
        RoutingKey.parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"a.b",
        b"a.b.c",
        b"a.%%%.c",
        token([]),
        token({"sub": True}),
        token({"sub": None}),
        token({"sub": ""}),
    ],
)
def test_a_token_without_the_claim_gives_no_key(wrong: bytes) -> None:
    assert claim(wrong, "sub") is None


@given(st.binary())
def test_no_token_raises(wrong: bytes) -> None:
    claim(b"a." + wrong + b".c", "sub")
    pointer(wrong, "/a/0")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/1/b", "x"),
        ("/a/2/b", None),
        ("/c~1d", "1"),
        ("/e~0f", "2"),
        ("/a/-1", None),
        ("/t", None),
        ("/a", None),
    ],
)
def test_json_pointers(path: str, expected: str | None) -> None:
    document = b'{"a": [0, {"b": "x"}], "c/d": 1, "e~f": "2", "t": true}'
    assert pointer(document, path) == expected
