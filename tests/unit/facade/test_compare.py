import gzip
import json
import zlib
from typing import Any

import pytest

from facade.compare import Answer, Outcome, Rules, compare
from facade.compare_location import Asked
from facade.evidence import Difference

JSON = (b"Content-Type", b"application/json")
AGREE = Outcome((), {}, {})


def answer(body: Any, *headers: tuple[bytes, bytes], status: int = 200) -> Answer:
    return Answer(status, headers or (JSON,), body if isinstance(body, bytes) else json.dumps(body).encode())


def header(name: bytes, *values: bytes) -> Answer:
    return answer(b"", *((name, value) for value in values), (b"x", b"y"))


def differs(primary: Answer, shadow: Answer, *names: str) -> bool:
    return bool(compare(primary, shadow, Rules(headers=names)).differences)


def test_equal_answers_agree() -> None:
    assert compare(answer({"a": 1}), answer({"a": 1}), Rules()) == AGREE


def test_of_different_statuses_only_the_status_is_reported() -> None:
    outcome = compare(
        answer({"a": 1}), answer({"error": "x"}, (b"content-type", b"text/html"), status=500), Rules()
    )
    assert outcome == Outcome((Difference("status", "status", "200", "500"),), {("status", "status"): 1}, {})


def test_json_and_headers_are_reported_together() -> None:
    outcome = compare(
        answer({"a": [1]}, JSON, (b"ETag", b'"1"')),
        answer({"a": [2]}, JSON),
        Rules(headers=("content-type", "etag")),
    )
    assert outcome.differences == (
        Difference("header:etag", "header", '"1"', "(absent)"),
        Difference("$.a[0]", "value", "1", "2"),
    )
    assert outcome.fields == {("header:etag", "header"): 1, ("$.a[*]", "value"): 1}


def test_a_rule_says_how_often_it_hid_something() -> None:
    primary = answer({"took_ms": 1, "items": [{"score": 1, "id": 1}, {"score": 2, "id": 2}]})
    shadow = answer({"took_ms": 2, "items": [{"score": 3, "id": 1}, {"score": 2, "id": 2}]})
    rules = Rules(ignore=("$.took_ms", "$.items[*].score", "$.never"))
    assert compare(primary, shadow, rules) == Outcome(
        (), {}, {"ignore $.took_ms": 1, "ignore $.items[*].score": 1}
    )


@pytest.mark.parametrize("kind", [b"application/problem+json", b"Application/JSON; charset=UTF-8"])
def test_every_json_type_is_compared_as_json(kind: bytes) -> None:
    primary, shadow = (answer({"a": n}, (b"content-type", kind)) for n in (1, 2))
    assert compare(primary, shadow, Rules()).fields == {("$.a", "value"): 1}


def test_other_bodies_are_compared_by_digest_and_never_quoted() -> None:
    primary, shadow = (
        answer(b"secret words " + mark, (b"content-type", b"text/plain")) for mark in (b"1", b"2")
    )
    (body,) = compare(primary, shadow, Rules()).differences
    assert (body.path, body.kind) == ("body", "body")
    assert body.primary.startswith("14 bytes, sha256 ")
    assert "words" not in body.primary + body.shadow
    assert body.shadow.endswith("another from byte 13 on (line 1)")


def test_a_body_that_should_be_json_says_why_it_is_not() -> None:
    (body,) = compare(answer({"a": 1}), answer(b"<html>"), Rules()).differences
    assert body.kind == "body"
    assert body.shadow.endswith("not JSON from character 0 on")


def test_nesting_that_cannot_be_followed_is_compared_by_digest() -> None:
    primary, shadow = (b"[" * 900 + mark + b"]" * 900 for mark in (b"1", b"2"))
    (body,) = compare(answer(primary), answer(shadow), Rules()).differences
    assert body.kind in {"body", "value"}


@pytest.mark.parametrize(
    ("coding", "encode"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"identity", bytes)]
)
def test_a_content_coding_is_taken_off_before_comparing(coding: bytes, encode: Any) -> None:
    coded = answer(encode(b'{"a": 1.50}'), JSON, (b"content-encoding", coding))
    assert compare(coded, answer(b'{"a": 1.5}'), Rules()) == AGREE
    assert compare(coded, answer(b'{"a": 2}'), Rules()).fields == {("$.a", "value"): 1}


def test_a_broken_content_coding_is_a_difference_not_an_error() -> None:
    broken = answer(b"not gzip", JSON, (b"content-encoding", b"gzip"))
    assert compare(answer({"a": 1}), broken, Rules()).fields == {("body", "body"): 1}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (b"Content-Type", b"application/json", b"application/json; charset=utf-8"),
        (b"Content-Type", b"text/html; charset=UTF-8", b'Text/HTML;charset="utf-8"'),
        (b"Cache-Control", b"no-store, max-age=0", b"Max-Age=0,no-store"),
        (b"Vary", b"Accept, Origin", b"origin,accept"),
        (b"Set-Cookie", b"sid=1; Path=/; HttpOnly; Expires=Mon", b"sid=2; HttpOnly; path=/"),
        (
            b"Set-Cookie",
            b"a=1; Domain=.Shop.example; SameSite=LAX",
            b"a=1; samesite=Lax; domain=shop.example",
        ),
        (b"Set-Cookie", b"a=1; Max-Age=60", b"a=1; max-age=62; Expires=Wed, 21 Oct 2015 07:28:00 GMT"),
        (b"ETag", b'"a"', b' "a" '),
        (b"ETag", b"a", b'"a"'),
        (b"Cache-Control", b'private="Set-Cookie, X", max-age=060', b'Max-Age="60" , private="x,set-cookie"'),
        (b"Content-Type", b'multipart/mixed; boundary="a;b"', b"multipart/mixed; boundary=c"),
        (b"Content-Type", b'text/plain; a=1; title="x; y"', b'text/plain;title="x; y";a="1"'),
        (b"Location", b"http://shop.example/%7Eann?q=1", b"HTTP://Shop.Example:80/~ann?q=1"),
        (b"Location", b"https://[::1]:443/", b"https://[::1]"),
    ],
)
def test_headers_of_one_meaning_agree(name: bytes, one: bytes, other: bytes) -> None:
    assert not differs(header(name, one), header(name, other), name.decode())


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        (b"Content-Type", b"text/html; charset=utf-8", b"text/html"),
        (b"Content-Type", b"application/json", b"application/problem+json"),
        (b"Cache-Control", b"no-store", b"no-cache"),
        (b"Set-Cookie", b"sid=1; HttpOnly", b"sid=1"),
        (b"Set-Cookie", b"sid=1", b"sid2=1"),
        (b"ETag", b'"a"', b'W/"a"'),
        (b"Location", b"/a", b"/b"),
        (b"Location", b"http://a/x", b"https://a/x"),
        (b"Location", b"http://a/x", b"http://b/x"),
        (b"Location", b"/x%2Fy", b"/x/y"),
        (b"Location", b"http://[::1/x", b"http://[::1/y"),
        (b"Set-Cookie", b"a=1; Path=/A", b"a=1; Path=/a"),
        (b"Set-Cookie", b"a=1; Max-Age=60", b"a=1"),
        (b"Set-Cookie", b"a=1; Max-Age=60", b"a=1; Max-Age=0"),
        (b"Set-Cookie", b"a=1; Max-Age=60", b"a=1; Max-Age=3600"),
        (b"Set-Cookie", b"a=1", b"a="),
        (b"Set-Cookie", b"a=1; SameSite=Lax", b"a=1; SameSite=None"),
        (
            b"Set-Cookie",
            b"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            b"a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT",
        ),
        (b"Cache-Control", b"max-age=60", b"max-age=61"),
        (b"Cache-Control", b'private="x"', b"private"),
        (b"Content-Type", b'text/plain; title="x; a=1"', b"text/plain; title=x; a=1"),
    ],
)
def test_headers_of_another_meaning_differ(name: bytes, one: bytes, other: bytes) -> None:
    assert differs(header(name, one), header(name, other), name.decode())


def test_cookies_live_as_long_by_their_answers_own_clock() -> None:
    monolith = header_of(b"Thu, 01 Jan 2026 10:00:00 GMT", b"sid=1; Expires=Thu, 01 Jan 2026 11:00:00 GMT")
    service = header_of(b"Thu, 01 Jan 2026 10:00:09 GMT", b"sid=2; Expires=Thu, 01-Jan-2026 11:00:09 GMT")
    counted = header_of(b"Thu, 01 Jan 2026 10:00:09 GMT", b"sid=2; Max-Age=3600")
    shorter = header_of(b"Thu, 01 Jan 2026 10:30:00 GMT", b"sid=2; Expires=Thu, 01 Jan 2026 11:00:00 GMT")
    assert not differs(monolith, service, "set-cookie")
    assert not differs(monolith, counted, "set-cookie")
    assert differs(monolith, shorter, "set-cookie")


def header_of(date: bytes, cookie: bytes) -> Answer:
    return answer(b"", (b"Date", date), (b"Set-Cookie", cookie))


def test_of_a_cookie_set_twice_the_last_counts_whatever_came_between() -> None:
    monolith = header(b"Set-Cookie", b"a=1; Max-Age=0", b"b=1", b"a=1")
    assert not differs(monolith, header(b"Set-Cookie", b"a=2", b"b=2"), "set-cookie")
    assert differs(monolith, header(b"Set-Cookie", b"a=2"), "set-cookie")


ASKED = Asked("https://shop.example/items/7?x=1", frozenset({"monolith:5000", "service:9000"}))


@pytest.mark.parametrize(
    ("monolith", "service", "same"),
    [
        (b"/items/8", b"https://shop.example/items/8", True),
        (b"8", b"/items/8", True),
        (b"?page=2", b"/items/7?page=2", True),
        (b"//shop.example/a", b"/a", True),
        (b"http://monolith:5000/a", b"http://service:9000/a", True),
        (b"http://monolith:5000/a", b"https://shop.example/a", True),
        (b"/items/8", b"http://shop.example/items/8", False),
        (b"/items/8", b"https://other.example/items/8", False),
        (b"http://monolith:5000/a", b"http://stranger:5000/a", False),
    ],
)
def test_a_redirect_is_where_the_client_goes(monolith: bytes, service: bytes, same: bool) -> None:
    ours, theirs = (answer(b"", (b"Location", each), status=302) for each in (monolith, service))
    found = compare(ours, theirs, Rules(), ASKED).differences
    assert [each.path for each in found] == ([] if same else ["header:location"])


HTML = (b"Content-Type", b"text/html")


def test_what_a_redirect_has_for_a_body_is_not_read() -> None:
    there, elsewhere = (b"Location", b"/a"), (b"Location", b"/b")
    monolith = answer(b"<p>Redirecting</p>", HTML, there, status=302)
    assert compare(monolith, answer(b"", there, status=302), Rules()) == AGREE
    assert compare(monolith, answer(b"", there, status=302), Rules(headers=())) == AGREE
    assert compare(monolith, answer(b"", elsewhere, status=302), Rules(headers=())).fields == {
        ("header:location", "header"): 1
    }
    lost = compare(monolith, answer(b"", HTML, status=302), Rules())
    assert lost.fields == {("header:location", "header"): 1, ("body", "body"): 1}
    told = answer({"id": 1}, JSON, there, status=303)
    assert compare(told, answer({"id": 2}, JSON, there, status=303), Rules()).fields == {("$.id", "value"): 1}


def test_an_answer_without_a_body_has_no_type() -> None:
    assert compare(answer(b"", HTML, status=204), answer(b"", JSON, status=204), Rules()) == AGREE
    assert compare(answer(b"", HTML), answer(b"", JSON), Rules()).fields == {
        ("header:content-type", "header"): 1
    }


def test_only_chosen_headers_are_compared() -> None:
    assert not differs(header(b"Date", b"1"), header(b"Date", b"2"), "content-type")


def test_i9_differences_carry_no_secret() -> None:
    primary = answer({"password": "hunter2", "me@example.org": 1, "nested": {"note": "token=abc123"}}, JSON)
    shadow = answer(
        {"password": "hunter3", "nested": {"note": "x"}, "extra": {"deep": [{"apiKey": "k1"}]}}, JSON
    )
    outcome = compare(primary, shadow, Rules())
    text = repr(outcome)
    for secret in ("hunter", "me@example", "abc123", "k1"):
        assert secret not in text
    assert ("$.password", "value") in outcome.fields
