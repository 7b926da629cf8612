"""The service answers every search route as the monolith does: status, body bytes, headers that count."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from monolith import vocabulary
from monolith.auth.tokens import Tokens
from tests.integration.extracted.pairs import SECRET, Pair

COMPARED = ("content-type", "etag", "location", "www-authenticate", "allow")
SAVED = {
    "name": "Küche",
    "query": "oak 100%",
    "filters": {"a": [1.5, None]},
    "threshold": "9.9",
    "notify": True,
}


def same(answers: tuple[httpx.Response, httpx.Response]) -> httpx.Response:
    monolith, service = answers
    assert monolith.status_code == service.status_code
    assert monolith.content == service.content
    assert [monolith.headers.get(name) for name in COMPARED] == [
        service.headers.get(name) for name in COMPARED
    ]
    return service


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=oak",
        "q=OAK+chair",
        "q=oak&limit=100",
        "q=a&limit=7&offset=13",
        "q=a&offset=1000000",
        "q=zzzz",
        "q=%20%20",
        "q=amber",
        "q=amb",
        "q=stra%C3%9Fe",
        "q=STRASSE",
        "q=i%CC%87stanbul",
        "q=%E6%97%A5%E6%9C%AC",
        "q=%F0%9F%8C%BF",
        "q=100%25",
        "q=snake_case",
        "q=back%5C",
        "q=%25",
        "q=_",
        "q=o%27brien",
        "q=%22quoted%22",
        "q=fine",
        "q=%ff",
        "q=%00",
        "q=" + "x" * 201,
        "kind=tool",
        "kind=Not+A+Kind",
        "kind=",
        "tag=amber",
        "tag=AMBER&q=oak",
        "tag=cr%C3%A8me%20br%C3%BBl%C3%A9e",
        "tag=none",
        "tag=",
        "min_price=100&max_price=200",
        "min_price=9999999999.99",
        "min_price=0&max_price=0",
        "min_price=-1",
        "min_price=1.001",
        "max_price=NaN",
        "max_price=abc",
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=-1",
        "limit=0&offset=-1&kind=X",
        "unknown=1",
    ],
)
def test_search(pair: Pair, query: str) -> None:
    same(pair.ask("GET", f"/search?{query}", headers=pair.headers))


def test_the_corpus_is_found_at_all(pair: Pair) -> None:
    found = same(pair.ask("GET", "/search?q=amber&limit=100", headers=pair.headers)).json()
    assert found["items"]
    assert any("amber" in item["tags"] for item in found["items"])
    assert [item["id"] for item in found["items"]] == sorted((i["id"] for i in found["items"]), reverse=True)


WORDS = st.sampled_from((*vocabulary.NOUNS, *vocabulary.ADJECTIVES, *vocabulary.AWKWARD))
FRAGMENTS = st.one_of(WORDS, WORDS.map(lambda word: word[1:3]), st.text(max_size=5))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(FRAGMENTS, max_size=4),
    limit=st.integers(1, 100),
    offset=st.integers(0, 50),
    prices=st.lists(st.integers(0, 500_000), max_size=2),
    tag=st.none() | FRAGMENTS,
)
def test_any_search(
    *, pair: Pair, words: list[str], limit: int, offset: int, prices: list[int], tag: str | None
) -> None:
    query = f"q={quote(' '.join(words))}&limit={limit}&offset={offset}"
    for name, cents in zip(("min_price", "max_price"), prices, strict=False):
        query += f"&{name}={cents // 100}.{cents % 100:02}"
    if tag is not None:
        query += f"&tag={quote(tag)}"
    same(pair.ask("GET", f"/search?{query}", headers=pair.headers))


@pytest.mark.parametrize(
    "path",
    [
        "/search/saved",
        "/search/saved?limit=100",
        "/search/saved?limit=3&offset=2",
        "/search/saved?notify=true",
        "/search/saved?notify=maybe",
        "/search/saved?client_ref=seed-7",
        "/search/saved?client_ref=",
        "/search/saved/0",
        "/search/saved/x",
        "/search/saved/99999",
        "/search/saved/2147483648",
        "/search/",
        "/search/saved/",
        "/search/nothing",
    ],
)
def test_reading_saved_searches(pair: Pair, path: str) -> None:
    same(pair.ask("GET", path, headers=pair.headers))


def test_each_saved_search(pair: Pair) -> None:
    statuses = set()
    for row in range(1, 151):
        answer = same(pair.ask("GET", f"/search/saved/{row}", headers=pair.headers))
        statuses.add(answer.status_code)
    assert statuses == {200, 404}


@pytest.mark.parametrize("path", ["/search", "/search/saved", "/search/saved/1"])
def test_authentication(pair: Pair, path: str) -> None:
    stale = Tokens(SECRET).issue(1, datetime.now(UTC) - timedelta(days=1))
    foreign = Tokens("x" * 32).issue(1, datetime.now(UTC))
    for value in (None, "Bearer", "Bearer x", "Basic abc", f"Bearer {stale}", f"Bearer {foreign}"):
        headers = {} if value is None else {"Authorization": value}
        assert same(pair.ask("GET", path, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/search"), ("HEAD", "/search"), ("DELETE", "/search/saved"), ("PATCH", "/search/saved/1")],
)
def test_methods_that_are_not_there(pair: Pair, method: str, path: str) -> None:
    assert same(pair.ask(method, path, headers=pair.headers)).status_code == 405


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"name": "  ", "query": "q"}',
        b'{"name": "n", "query": null}',
        b'{"name": "n", "query": "q", "threshold": 1.005}',
        b'{"name": "n", "query": "q", "threshold": "1e99"}',
        b'{"name": "n", "query": "q", "filters": []}',
        b'{"name": "n", "query": "q", "filters": {"a": NaN}}',
        b'{"name": "n", "query": "q", "filters": {"a": "\\ud800"}}',
        b'{"name": "n", "query": "a\\u0000b"}',
        b'{"name": "n", "query": "q", "notify": "perhaps"}',
        b'{"name": "n", "query": "q", "client_ref": ""}',
        b"\xff",
    ],
)
def test_invalid_bodies(pair: Pair, body: bytes) -> None:
    headers = pair.headers | {"Content-Type": "application/json"}
    for method, path in (("POST", "/search/saved"), ("PUT", "/search/saved/1")):
        assert same(pair.ask(method, path, content=body, headers=headers)).status_code in {400, 422}


def timeless(answer: httpx.Response) -> dict[str, Any]:
    """What two apps that create at different instants can agree on."""
    body: dict[str, Any] = answer.json()
    assert body.pop("created_at") <= body.pop("updated_at")
    return body


def test_writing_saved_searches(pair: Pair) -> None:
    """The life of a saved search; both sides count ids on from the same row."""
    with pair.monolith_engine.begin() as old, pair.service_engine.begin() as new:
        newest = old.scalar(text("SELECT max(id) FROM saved_searches"))
        if new.dialect.name == "postgresql":
            new.execute(text("SELECT setval('saved_queries_id_seq', :newest)"), {"newest": newest})
    body = SAVED | {"client_ref": "life"}
    created = pair.ask("POST", "/search/saved", json=body, headers=pair.headers)
    assert timeless(created[0]) == timeless(created[1])
    assert created[0].headers["location"] == created[1].headers["location"] == f"/search/saved/{newest + 1}"
    where, tag = created[0].headers["location"], created[0].headers["etag"]
    assert created[1].headers["etag"] == tag

    known = same(pair.ask("GET", where, headers=pair.headers | {"If-None-Match": tag}))
    assert (known.status_code, known.content) == (304, b"")
    change = {"name": "n", "query": "", "client_ref": "ignored"}
    replaced = pair.ask("PUT", where, json=change, headers=pair.headers | {"If-Match": tag})
    assert timeless(replaced[0]) == timeless(replaced[1])
    assert timeless(replaced[1])["client_ref"] == "life"
    assert replaced[1].headers["etag"] == replaced[0].headers["etag"] != tag
    for method in ("PUT", "DELETE"):
        late = pair.ask(method, where, json=change, headers=pair.headers | {"If-Match": tag})
        assert same(late).status_code == 412
    assert same(pair.ask("DELETE", where, headers=pair.headers)).status_code == 204
    assert same(pair.ask("DELETE", where, headers=pair.headers)).status_code == 404


def test_another_users_saved_search_is_not_there(pair: Pair) -> None:
    with pair.monolith_engine.connect() as connection:
        foreign = connection.scalar(
            text("SELECT min(id) FROM saved_searches WHERE user_id <> :me"), {"me": pair.user}
        )
    for method in ("GET", "PUT", "DELETE"):
        answer = pair.ask(method, f"/search/saved/{foreign}", json=SAVED, headers=pair.headers)
        assert same(answer).status_code == 404
