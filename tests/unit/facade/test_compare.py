import gzip
import json
import zlib
from typing import Any

import pytest

from facade.compare import Answer, Outcome, Rules, compare
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
        (b"ETag", b'"a"', b' "a" '),
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
    ],
)
def test_headers_of_another_meaning_differ(name: bytes, one: bytes, other: bytes) -> None:
    assert differs(header(name, one), header(name, other), name.decode())


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
