"""I9: a planted secret survives nowhere; what an engineer needs to see does."""

import base64
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.compare import Answer, Rules, compare
from facade.evidence import Difference
from facade.redact import (
    is_secret_name,
    redact_differences,
    redact_header,
    redact_json,
    redact_target,
    redact_text,
)

URLSAFE = string.ascii_letters + string.digits + "-_"
HEX = "0123456789abcdef"
OPAQUE = st.binary(min_size=32, max_size=48).map(
    lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")
)
JWTS = st.tuples(OPAQUE, OPAQUE, OPAQUE).map(lambda parts: "eyJ" + ".".join(parts))
DIGESTS = st.text(HEX, min_size=32, max_size=64)
SHORT = st.text(string.ascii_letters, min_size=8, max_size=20).map(lambda text: "zq" + text)
SECRET_NAMES = st.sampled_from(
    [
        "password",
        "newPassword",
        "access_token",
        "X-Api-Key",
        "client-secret",
        "sessionId",
        "card",
        "authorization",
    ]
)
PROSE = st.sampled_from(["", "see ", "the value was ", "key: ", "note; a=1 & ", '{"n": 1, "s": "', "\n"])


def looks_random(text: str) -> bool:
    """Whether a generated secret is one: hypothesis also draws ``AAAA…``, which no server gives out."""
    return len(set(text)) > 10


@given(PROSE, OPAQUE.filter(looks_random) | JWTS | DIGESTS, PROSE)
def test_i9_a_secret_that_looks_like_one_survives_in_no_text(before: str, secret: str, after: str) -> None:
    assert secret not in redact_text(f"{before}{secret} {after}")


@given(
    PROSE,
    SECRET_NAMES,
    SHORT,
    st.sampled_from(["{0}={1}", "{0}: {1}", '"{0}": "{1}"', "'{0}': '{1}'", '\\"{0}\\":\\"{1}\\"']),
)
def test_i9_a_secret_that_is_called_one_survives_in_no_text(
    before: str, name: str, secret: str, form: str
) -> None:
    assert secret not in redact_text(before + form.format(name, secret) + " and more")


@given(SECRET_NAMES, SHORT, st.sampled_from(["/a?x=1&{0}={1}", "/a?{0}={1}&y=2", "/a?{0}={1}"]))
def test_i9_a_secret_survives_in_no_query(name: str, secret: str, form: str) -> None:
    assert secret not in redact_target(form.format(name, secret))


@given(OPAQUE.filter(looks_random) | JWTS | DIGESTS)
def test_i9_a_secret_survives_in_no_path_segment(secret: str) -> None:
    assert secret not in redact_target(f"/reset/{secret}/now")


@given(
    st.recursive(
        st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    ),
    SECRET_NAMES,
    SHORT,
)
def test_i9_a_secret_member_survives_in_no_difference(around: Any, name: str, secret: str) -> None:
    shapes = (
        ({"a": around, name: secret}, {"a": around}),
        ({"a": around, name: secret}, {"a": around, name: secret + "x"}),
        ([around, {"b": [{name: {"v": secret}}]}], [around]),
        ({name: [{"v": secret}]}, {name: [{"v": 1}]}),
    )
    headers = ((b"content-type", b"application/json"),)
    for shape in shapes:
        for one, other in (shape, shape[::-1]):
            answers = (Answer(200, headers, json.dumps(side).encode()) for side in (one, other))
            outcome = compare(*answers, Rules())
            assert outcome.differences
            assert secret not in repr(outcome)


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer abcdefgh",
        "basic dXNlcjpwYXNz",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5500005555555559",
        "ann.bee+test@mail.example.org",
        "https://user:pa55@example.org/",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
        "Set-Cookie: a=b; c=d",
    ],
)
def test_i9_known_forms_are_recognised(secret: str) -> None:
    assert "[redacted" in redact_text(f"it was {secret} there")
    for part in ("abcdefgh", "dXNlcjpwYXNz", "EXAMPL", "ghp_", "1111", "555", "ann", "pa55", "MIIE", "c=d"):
        if part in secret:
            assert part not in redact_text(f"it was {secret} there")


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02T03:04:05.123456+00:00",
        "550e8400-e29b-41d4-a716-446655440000",
        "resource-management-2024-report-final",
        "/api/v1/resources/2024/comments/45/whatever",
        "application/vnd.company.resource-v2+json",
        "an ordinary sentence about basic things, 12:30, a=1",
        "1234567890123",
        "9007199254740993",
        "max-age=3600, must-revalidate",
        "[redacted]",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "name", ["tokenizer_settings", "Authorization", "PASSWORD", "x-csrf-token", "cvv", "userPin"]
)
def test_a_secret_name_is_known_in_any_spelling(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["id", "title", "spinner", "author", "cards", "signal", "passenger", "opinion"]
)
def test_an_innocent_name_is_left_alone(name: str) -> None:
    assert not is_secret_name(name)


def test_of_a_cookie_the_name_and_the_attributes_stay() -> None:
    assert redact_header("Set-Cookie", "sid=abc; Path=/; HttpOnly") == "sid=[redacted]; Path=/; HttpOnly"
    assert redact_header("Cookie", "sid=abc") == "[redacted]"
    assert redact_header("ETag", '"v1"') == '"v1"'


def test_a_harmless_target_stays_as_it_was_written() -> None:
    target = "/a%20b/c?q=x%20y&page=2&empty=&flag"
    assert redact_target(target) == target
    assert redact_target("/plain") == "/plain"


def test_an_encoded_secret_is_found() -> None:
    assert (
        redact_target("/u/ann%40example.org?mail=ann%40example.org")
        == "/u/[redacted email]?mail=[redacted email]"
    )


def test_texts_are_short_and_can_be_encoded() -> None:
    assert len(redact_json({"a": ["word " * 1000] * 100})) == 200
    redact_json({"\ud800": "\udfff"}).encode()
    assert redact_json({"a": [1, None, True, "x"]}) == '{"a": [1, null, true, "x"]}'


def test_differences_from_elsewhere_can_be_redacted_and_redacting_twice_changes_nothing() -> None:
    given_ = (
        Difference("$.user.password", "value", '"a"', "(absent)"),
        Difference("$['me@example.org']", "extra", "(absent)", "1"),
        Difference("status", "status", "200", "500"),
    )
    once = redact_differences(given_)
    assert once == (
        Difference("$.user.password", "value", "[redacted]", "(absent)"),
        Difference("$['[redacted email]']", "extra", "(absent)", "1"),
        Difference("status", "status", "200", "500"),
    )
    assert redact_differences(once) == once
