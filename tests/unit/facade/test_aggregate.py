import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.aggregate import PartAnswer, compose, judge, part_target
from facade.routes import Route, RouteTable

JSON = b"application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected"),
    [
        (200, JSON, b"[1]", PartAnswer(200, b"[1]")),
        (201, b"application/problem+json", b"{}", PartAnswer(201, b"{}")),
        (204, b"", b"", PartAnswer(204)),
        (200, JSON, b"", PartAnswer(200)),
        (200, JSON, b"{", PartAnswer(200, None, "the answer is no JSON (application/json)")),
        (200, b"text/html", b"[1]", PartAnswer(200, None, "the answer is no JSON (text/html)")),
        (200, b"", b"[1]", PartAnswer(200, None, "the answer is no JSON (no content type)")),
        (404, JSON, b'{"detail": 1}', PartAnswer(404, b'{"detail": 1}', "status 404")),
        (500, b"text/html", b"<h1>", PartAnswer(500, None, "status 500")),
        (302, JSON, b"{}", PartAnswer(302, b"{}", "status 302")),
    ],
)
def test_an_answer_is_there_or_says_why_not(
    status: int, kind: bytes, body: bytes, expected: PartAnswer
) -> None:
    assert judge(status, kind, body) == expected


def test_parts_are_put_together_as_they_came() -> None:
    number = b'{"exact": 12345678901234567890123, "d": 1.10, "d": 1E400}'
    answers = {"a": PartAnswer(200, number), "b": PartAnswer(204), "c": PartAnswer(504, None, "late")}
    status, body, failed = compose(answers)
    assert (status, failed) == (200, ["c"])
    assert number in body
    document = json.loads(body)
    assert document["failed"] == ["c"]
    assert document["parts"]["b"] == {"status": 204, "body": None}
    assert document["parts"]["c"] == {"status": 504, "error": "late"}


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [((401, 401), 401), ((502, 504), 502), ((503,), 503), ((200, 200), 502), ((302, 302), 502)],
)
def test_when_all_fail_so_does_the_whole(statuses: tuple[int, ...], whole: int) -> None:
    answers = {str(n): PartAnswer(status, None, "no") for n, status in enumerate(statuses)}
    assert compose(answers)[0] == whole


def test_a_part_is_asked_with_the_parameters_and_the_query() -> None:
    match = RouteTable.compile([Route("GET", "/all/{id:int}/{rest:path}", None)]).match(
        b"GET", b"/all/7/x%20y/z?limit=5&q=%2F"
    )
    assert match is not None
    target = part_target("/items/{id:int}/{rest:path}", match.parameters, b"/all/7/x%20y/z?limit=5&q=%2F")
    assert target == b"/items/7/x%20y/z?limit=5&q=%2F"
    assert part_target("/items", match.parameters, b"/all/7/x") == b"/items"


@given(st.binary(max_size=20))
def test_a_parameter_stays_inside_its_segment(raw: bytes) -> None:
    value = raw.decode("utf-8", "surrogateescape")
    target = part_target("/items/{id}/end", {"id": value}, b"/")
    assert target.count(b"/") == 3
    assert not set(b"?# \r\n\0") & set(target)
