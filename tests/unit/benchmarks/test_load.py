"""A request of the load, as it is on the wire."""

from benchmarks.load import request


def test_a_request_has_its_query_its_host_and_its_fields() -> None:
    assert request("http://127.0.0.1:81/a/b?c=d", {"Accept": "*/*"}) == (
        b"GET /a/b?c=d HTTP/1.1\r\nHost: 127.0.0.1:81\r\nAccept: */*\r\n\r\n"
    )
