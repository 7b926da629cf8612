"""Recordings: HAR and access logs are told apart by their content; what is broken is named with its place."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from facade.replay import Recorded
from migration.errors import EvidenceError
from migration.recording import read_recording
from migration.replaying import Recording, header_fields

LOG = r"""127.0.0.1 - - [28/Nov/2026:13:00:00 +0000] "GET /items?q=a%20b HTTP/1.1" 200 5 "https://a/" "UA (X)"
::1 - ann [28/Nov/2026:13:00:01 +0000] "POST /items HTTP/2.0" 201 -

10.0.0.7 - - [28/Nov/2026:13:00:02 +0000] "\x16\x03\x01\x00" 400 150 "-" "-"
10.0.0.7 - - [28/Nov/2026:13:00:03 +0000] "GET /say/\"hi\"/\x5cx HTTP/1.1" 404 9 "-" "curl \"8\"" 0.004 more
10.0.0.7 - - [28/Nov/2026:13:00:04 +0000] "-" 408 0
"""


def har(*requests: dict[str, Any]) -> bytes:
    return json.dumps(
        {"log": {"version": "1.2", "entries": [{"request": each} for each in requests]}}
    ).encode()


def read(tmp_path: Path, content: bytes) -> list[Recorded]:
    file = tmp_path / "recorded"
    file.write_bytes(content)
    return list(read_recording(file))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_access_log_gives_its_requests(tmp_path: Path, pack: Any) -> None:
    assert read(tmp_path, pack(LOG.encode())) == [
        Recorded(b"GET", b"/items?q=a%20b"),
        Recorded(b"POST", b"/items"),
        Recorded(b"GET", rb'/say/"hi"/\x'),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda content: b"\xef\xbb\xbf\n " + content])
def test_a_har_file_gives_its_requests_with_fields_and_host(tmp_path: Path, pack: Any) -> None:
    (recorded,) = read(
        tmp_path,
        pack(
            har(
                {
                    "method": "GET",
                    "url": "https://me:pw@shop.test:8443/päth?q=1 2#part",
                    "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "X-A", "value": "1"}],
                }
            )
        ),
    )
    assert recorded == Recorded(b"GET", b"/p%C3%A4th?q=1%202", ((b"X-A", b"1"),), b"shop.test:8443", b"https")


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        (LOG.encode() + b"what is this\n", "recorded:7: ", "no line of an access log in combined format"),
        (b'{"log":\n {"entries": [}}', "recorded:2: ", "not JSON from column 15 on"),
        (b'{"log": {}}', "`log.entries`", "no HAR file"),
        (har({"url": "http://a/"}), "`log.entries.0.request.method`", "Field required"),
        (
            har({"method": "GET", "url": "http://a/"}, {"method": "GET", "url": "wss://a/?token=canary"}),
            "`log.entries.1.request`",
            "does not begin with http:// or https://",
        ),
        (b'{"log": "\xff"}', "recorded: ", "not UTF-8 at byte 9"),
        (b'{"at":1.5,"path":"/a"}\n{"at":1.6,"path":"/b"}\n', "recorded:2: ", "not JSON from column 1 on"),
    ],
)
def test_what_is_broken_is_named_with_its_place(
    tmp_path: Path, content: bytes, place: str, problem: str
) -> None:
    with pytest.raises(EvidenceError) as refused:
        read(tmp_path, content)
    assert place in str(refused.value)
    assert problem in str(refused.value)
    assert "canary" not in str(refused.value)


def test_given_fields_take_the_place_of_recorded_ones(tmp_path: Path) -> None:
    recorded, given = tmp_path / "recorded", tmp_path / "fields"
    headers = [{"name": "authorization", "value": "old"}, {"name": "X-A", "value": "1"}]
    recorded.write_bytes(har(*[{"method": "GET", "url": "http://a/", "headers": headers}] * 3))
    given.write_text("Authorization: Bearer new\n\nCookie: a=b: c\n")
    first, second = Recording(recorded, 2, header_fields(given)).requests()
    assert first == second
    assert first.fields == ((b"X-A", b"1"), (b"Authorization", b"Bearer new"), (b"Cookie", b"a=b: c"))
    given.write_text("A: b\nno field\n")
    with pytest.raises(EvidenceError, match=r"fields:2: this is no header field"):
        header_fields(given)
