import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.answer import Malformed, compose, own, parse_head
from facade.edge import Edge
from facade.headers import Fields, Refused, check_target, parse_fields

STRANGER = Edge(b"2001:db8::1", trusted=False, scheme=b"https")


def parse(*lines: bytes, edge: Edge = STRANGER, http10: bool = False) -> Fields:
    block = b"".join(line + b"\r\n" for line in lines)
    return parse_fields(block, edge=edge, http10=http10, most=50)


def test_order_case_and_duplicates_survive() -> None:
    lines = (b"Host: a", b"X-B: 1", b"x-a:2", b"X-B:  3 ")
    assert parse(*lines).forward.startswith(b"\r\n".join(lines) + b"\r\n")


def test_an_ipv6_peer_is_written_as_rfc_7239_wants_it() -> None:
    forward = parse(b"Host: a").forward
    assert b'Forwarded: for="[2001:db8::1]";proto=https;host="a"\r\n' in forward
    assert b"X-Forwarded-For: 2001:db8::1\r\n" in forward


def test_connection_cannot_nominate_what_frames_and_routes() -> None:
    forward = parse(
        b"Host: a", b"Content-Length: 3", b"Connection: host, content-length, x-mine", b"X-Mine: 1"
    ).forward
    assert b"Host: a" in forward
    assert b"Content-Length: 3" in forward
    assert b"X-Mine" not in forward


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"Transfer_Encoding", b"Content_Length", b"X_Strangler_Shadow"]
)
def test_underscores_do_not_disguise_a_name(name: bytes) -> None:
    assert name not in parse(b"Host: a", name + b": 1").forward


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), 400),
        ((b"Host: a", b"host: a"), 400),
        ((b"Host: ",), 400),
        ((b"Host: a/b",), 400),
        ((b"Host: a", b"Content-Length: 1", b"Content-Length: 1"), 400),
        ((b"Host: a", b"Content-Length: -1"), 400),
        ((b"Host: a", b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
        ((b"Host: a", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
        ((b"Host: a", b"Transfer-Encoding: identity"), 501),
        ((b"Host: a", b"X : 1"), 400),
        ((b"Host: a", b" X: 1"), 400),
        ((b"Host: a", b"X: \x07"), 400),
        ((b"Host: a", b"Expect: more"), 417),
        (tuple([b"Host: a"] * 51), 431),
    ],
)
def test_refuses(lines: tuple[bytes, ...], status: int) -> None:
    with pytest.raises(Refused) as refused:
        parse(*lines)
    assert refused.value.status == status


@pytest.mark.parametrize("host", [b"a", b"a:80", b"[::1]:80", b"a.b-c_d"])
def test_hosts_that_pass(host: bytes) -> None:
    assert parse(b"Host: " + host).value(b"host") == host


def test_targets() -> None:
    fields = parse(b"Host: shop.test")
    check_target(b"GET", b"http://SHOP.test/x?y", fields)
    check_target(b"OPTIONS", b"*", fields)
    for target in (b"*", b"x", b"/a#b", b"ftp://shop.test/", b"http://shop.test:81/", b"http://"):
        with pytest.raises(Refused):
            check_target(b"GET", target, fields)


def test_an_answers_head_passes_untouched_when_nothing_belongs_to_the_hop() -> None:
    raw = b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 5\r\nset-cookie: a\r\nSet-Cookie: b\r\n\r\n"
    head = parse_head(raw)
    assert (head.status, head.length, head.keep_alive) == (200, 5, True)
    composed = compose(head, b"X-Request-ID: r\r\n", chunked=False, close=False)
    assert composed == raw[:-2] + b"Via: 1.1 strangler\r\nX-Request-ID: r\r\n\r\n"


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    ],
)
def test_malformed_answers(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        parse_head(wrong)


@given(st.sampled_from([400, 408, 410, 413, 431, 501, 502, 503, 504]), st.booleans())
def test_own_answers_are_framed(status: int, bodyless: bool) -> None:
    head, _, body = own(status, "Why.", close=True, bodyless=bodyless).partition(b"\r\n\r\n")
    assert b"Content-Length: 5" in head
    assert b"Connection: close" in head
    assert body == (b"" if bodyless else b"Why.\n")
