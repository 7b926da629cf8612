import pytest

from facade.config import Upstream
from facade.outgoing import addressed

SHOP = Upstream("shop.internal", 8000)


@pytest.mark.parametrize(
    "lines",
    [b"Host: a\r\nX-Host: b\r\n", b"X-Host: b\r\nhOST:a\r\n", b"X-Host: b\r\n", b"Host:\r\nX-Host: b\r\n"],
)
def test_the_upstreams_name_comes_first_and_once(lines: bytes) -> None:
    assert addressed(b"/", lines, SHOP)[1] == b"Host: shop.internal:8000\r\nX-Host: b\r\n"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"http://a/x/%2F?y", b"/x/%2F?y"),
        (b"HTTPS://a:1?y", b"/?y"),
        (b"http://a", b"/"),
        (b"//a/b", b"//a/b"),
        (b"/http://a/b", b"/http://a/b"),
        (b"*", b"*"),
    ],
)
def test_a_target_names_nobody_else(target: bytes, path: bytes) -> None:
    assert addressed(target, b"", SHOP)[0] == path


@pytest.mark.parametrize(
    ("upstream", "host"),
    [
        (Upstream("shop.internal", 80), b"shop.internal"),
        (Upstream("shop.internal", 443), b"shop.internal:443"),
        (Upstream("shop.internal", 443, tls=True), b"shop.internal"),
        (Upstream("::1", 80), b"[::1]"),
        (Upstream("::1", 81), b"[::1]:81"),
    ],
)
def test_the_port_is_said_when_it_is_not_the_schemes_own(upstream: Upstream, host: bytes) -> None:
    assert upstream.host_field == host
