from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.config import Upstream
from facade.own_name import without_own_name

APP = Upstream("app.internal", 8000)
PLAIN = Upstream("app.internal", 80)


@pytest.mark.parametrize(
    ("upstream", "line", "expected"),
    [
        (APP, b"Location: http://app.internal:8000/a?b#c", b"Location: /a?b#c"),
        (APP, b"LOCATION:https://APP.internal:8000/a", b"LOCATION:/a"),
        (APP, b"Location: http://app.internal:8000", b"Location: /"),
        (APP, b"Location: http://app.internal:8000?a", b"Location: /?a"),
        (APP, b"Content-Location: http://app.internal:8000/a", b"Content-Location: /a"),
        (PLAIN, b"Location: http://app.internal/a", b"Location: /a"),
        (PLAIN, b"Location: http://app.internal:80/a", b"Location: /a"),
        (Upstream("::1", 8000), b"Location: http://[::1]:8000/a", b"Location: /a"),
        (APP, b"Location: http://app.internal:8000//evil.test/a", b"Location: /.//evil.test/a"),
        (APP, b"Location: http://app.internal:8000/\\evil.test/a", b"Location: /./\\evil.test/a"),
        (APP, b"Location: http://app.internal:80/a", None),
        (APP, b"Location: http://app.internal:8000.evil.test/a", None),
        (APP, b"Location: http://app.internal:8000@evil.test/a", None),
        (APP, b"Location: http://shop.test/?next=http://app.internal:8000/a", None),
        (APP, b"Location: /a", None),
        (APP, b"X-Location: http://app.internal:8000/a", None),
        (APP, b"Set-Cookie: a=b; Domain=app.internal; Path=/", b"Set-Cookie: a=b; Path=/"),
        (APP, b"set-cookie: a=b; Path=/;domain=.App.internal", b"set-cookie: a=b; Path=/"),
        (APP, b"Set-Cookie: a=b; Domain=internal", None),
        (APP, b"Set-Cookie: a=domain=app.internal", None),
    ],
)
def test_own_names(upstream: Upstream, line: bytes, expected: bytes | None) -> None:
    block = b"A: 1\r\n%b\r\nB: 2\r\n"
    assert without_own_name(block % line, upstream) == block % (expected or line)


@given(st.text(st.sampled_from("/\\.?#@:a\t"), max_size=8))
def test_a_redirect_to_itself_stays_where_the_client_is(rest: str) -> None:
    block = f"Location: http://app.internal:8000/{rest}\r\n".encode()
    reference = without_own_name(block, APP).decode().removeprefix("Location: ").removesuffix("\r\n")
    as_browsers_do = reference.replace("\\", "/").replace("\t", "")
    assert urlsplit(urljoin("https://shop.test/x/y", as_browsers_do)).netloc == "shop.test"
