import pytest

from facade.edge import Edge
from facade.headers import Refused, parse_fields
from facade.method import agree
from facade.routes import Route, RouteTable

TABLE = RouteTable.compile(
    [
        Route("GET", "/items", "items"),
        Route("POST", "/items", "items"),
        Route("PATCH", "/items", "items"),
        Route("DELETE", "/items/{id}", "items"),
        Route("*", "/carts/{id}", "carts"),
        Route("POST", "/orders/{id}", "orders"),
        Route("PATCH", "/orders/{order}", "orders"),
        Route("PUT", "/orders/{id}", "old", retired=True),
    ]
)


def judge(method: bytes, target: bytes, *instead: bytes) -> None:
    agree(TABLE, TABLE.match(method, target), method, instead, target)


@pytest.mark.parametrize(
    ("method", "target", "instead"),
    [
        (b"POST", b"/else", b"DELETE"),
        (b"POST", b"/items", b"POST"),
        (b"POST", b"/items", b"PATCH"),
        (b"POST", b"/carts/1", b"PUT"),
        (b"GET", b"/items", b"GET"),
        (b"GET", b"/items", b""),
    ],
)
def test_what_leads_the_same_way_is_passed_on(method: bytes, target: bytes, instead: bytes) -> None:
    judge(method, target, instead)


@pytest.mark.parametrize(
    ("method", "target", "instead"),
    [
        (b"GET", b"/items", b"POST"),  # a write that is routed as a read
        (b"GET", b"/else", b"POST"),  # and one that might be sent twice
        (b"PUT", b"/else", b"PATCH"),
        (b"POST", b"/items/1", b"DELETE"),  # a write that no fence holds
        (b"POST", b"/items", b"DELETE"),  # or one that is no write of this phase
        (b"POST", b"/items", b"GET"),
        (b"POST", b"/carts/1", b"GET"),
        (b"POST", b"/orders/1", b"PATCH"),  # of another routing key
        (b"POST", b"/orders/1", b"PUT"),
        (b"POST", b"/else", b"PUT, GET"),
        (b"POST", b"/else", b"X" * 21),
    ],
)
def test_what_leads_two_ways_is_refused(method: bytes, target: bytes, instead: bytes) -> None:
    with pytest.raises(Refused, match="another method"):
        judge(method, target, instead)
    with pytest.raises(Refused, match="another method"):
        judge(method, target, method, instead)


@pytest.mark.parametrize(
    "name", [b"X-HTTP-Method-Override", b"x-http-method", b"X-METHOD-OVERRIDE", b"X_HTTP_Method_Override"]
)
def test_every_spelling_is_found(name: bytes) -> None:
    edge = Edge(b"127.0.0.1", trusted=False, scheme=b"http")
    fields = parse_fields(b"Host: a\r\n" + name + b": delete\r\n", edge=edge, http10=False, most=9)
    assert fields.instead == (b"DELETE",)
    assert name in fields.forward
