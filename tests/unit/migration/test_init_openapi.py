import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from migration.init import render
from migration.init_grouping import group
from migration.init_openapi import Operation, read
from migration.init_tables import FoundTable, Reference
from migration.plan import Plan
from migration.plan_claims import conflicts

URL = "http://127.0.0.1:8000"


def document(**more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {"/items": {"get": {}}}, **more}


@pytest.mark.parametrize(
    ("scheme", "key"),
    [
        ({"type": "http", "scheme": "Bearer"}, "jwt:sub"),
        ({"type": "oauth2", "flows": {}}, "jwt:sub"),
        ({"type": "http", "scheme": "basic"}, "header:Authorization"),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, "header:X-Key"),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, "cookie:sid"),
        ({"type": "mutualTLS"}, None),
    ],
)
def test_authentication_suggests_the_routing_key(scheme: dict[str, Any], key: str | None) -> None:
    assert read(document(components={"securitySchemes": {"s": scheme}}), URL).routing_key == key
    assert read(document(securityDefinitions={"s": scheme}), URL).routing_key == key


@pytest.mark.parametrize("base", [{"servers": [{"url": "/shop/"}]}, {"basePath": "/shop"}])
def test_a_base_path_stands_before_every_route(base: dict[str, Any]) -> None:
    assert read(document(**base), URL).operations == (Operation("GET", "/shop/items", None),)


def test_one_shape_is_one_route() -> None:
    found = read(document(paths={"/a/{x}": {"get": {}}, "/a/{y}": {"get": {}, "post": {}}}), URL)
    assert [(each.method, each.path) for each in found.operations] == [("GET", "/a/{x}"), ("POST", "/a/{y}")]


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
paths = st.lists(st.one_of(words, words.map("{{{}}}".format)), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
items = st.dictionaries(
    st.sampled_from(["get", "post", "delete", "summary"]),
    st.fixed_dictionaries({}, optional={"tags": st.lists(words, max_size=2)}),
)
tables = st.builds(
    FoundTable,
    words.filter(bool),
    st.booleans(),
    st.lists(st.builds(Reference, words, words), max_size=2).map(tuple),
)


@given(
    st.dictionaries(paths, items, min_size=1),
    st.lists(tables, unique_by=lambda table: table.name, max_size=5),
)
def test_whatever_a_monolith_is_the_plan_written_for_it_is_valid(
    described: dict[str, Any], found: list[FoundTable]
) -> None:
    api = read(document(paths=described), URL)
    groups, unassigned = group(api.operations, found)
    text = render(api, make_url("postgresql://ann:x@db/shop"), groups, unassigned, Path("/plans"))
    plan = Plan(**tomllib.loads(text))
    assert list(conflicts(plan.phases)) == []
    assert len(plan.phases) == len(groups)
