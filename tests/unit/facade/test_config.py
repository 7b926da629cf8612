import pickle

import pytest

from facade.address import parse_listen
from facade.config import Backend, FacadeConfig, ShadowRules, Upstream
from facade.errors import AddressError
from facade.routing_key import RoutingKey


def test_upstreams() -> None:
    assert Upstream.parse("http://127.0.0.1:8000") == Upstream("127.0.0.1", 8000)
    assert Upstream.parse("https://shop.test/") == Upstream("shop.test", 443, tls=True)
    assert Upstream.parse("http://[::1]:81").authority == "[::1]:81"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:80",
        "ftp://a",
        "http://a:x",
        "http://a/base",
        "http://a:99999",
        "http://u:secret@a",
        "http://u:secret@a/b",
    ],
)
def test_an_unusable_upstream_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        Upstream.parse(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("listen", "address"), [("127.0.0.1:80", ("127.0.0.1", 80)), ("[::1]:0", ("::1", 0))]
)
def test_listen_addresses(listen: str, address: tuple[str, int]) -> None:
    assert parse_listen(listen) == address


@pytest.mark.parametrize("listen", ["", "8080", "a:b", "::1:80", "a:99999"])
def test_a_listen_address_that_is_not_understood_is_refused(listen: str) -> None:
    with pytest.raises(AddressError):
        parse_listen(listen)


def test_the_configuration_can_be_sent_to_a_worker() -> None:
    upstream = Backend.of(Upstream("a", 1))
    config = FacadeConfig(
        upstream,
        {"p": upstream},
        {"p": RoutingKey.parse("jwt:sub")},
        {"p": ShadowRules()},
        trusted_proxies=("10.0.0.0/8",),
    )
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_trusted_proxy_is_a_network() -> None:
    with pytest.raises(AddressError, match=r"10\.0\.0\.0/40"):
        FacadeConfig(Backend.of(Upstream("a", 1)), trusted_proxies=("10.0.0.0/40",))
