from hypothesis import given
from hypothesis import strategies as st

from facade.config import Limits
from facade.edge import Edge
from facade.request import RequestParser

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


@given(
    st.lists(st.text(st.sampled_from("\r\nx0"), min_size=1, max_size=9).map(str.encode), max_size=4),
    st.lists(st.integers(1, 40), max_size=12),
    st.booleans(),
)
def test_a_chunked_body_ends_where_it_ends(chunks: list[bytes], cuts: list[int], trailer: bool) -> None:
    parser = RequestParser(Edge(b"", trusted=False, scheme=b"http"), Limits())
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parser.head(head) == len(head)
    last = b"0\r\nX-T: 1\r\n\r\n" if trailer else b"0\r\n\r\n"
    stream = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last + NEXT
    rest, fed = b"", 0
    for cut in [*cuts, len(stream)]:
        piece = stream[fed : fed + cut]
        fed += len(piece)
        if not piece:
            break
        rest = parser.body(piece)
        if parser.done:
            break
        assert rest == b""
    assert parser.done
    assert b"".join(parser.pieces) == b"".join(chunks)
    parser.pieces.clear()
    remaining = rest + stream[fed:]
    assert remaining == NEXT
    assert parser.head(remaining) == len(NEXT)
    assert (parser.target, parser.done) == (b"/next", True)
