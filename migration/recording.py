"""Recorded requests: a HAR file as browsers save it, or an access log in combined (or common) format.

Which of the two a file is, is seen from its content; either may be compressed with gzip.
"""

import gzip
import json
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, ValidationError

from facade.replay import Recorded
from migration.errors import EvidenceError

_GZIP = b"\x1f\x8b"
_ENTRY = re.compile(
    rb'(?P<host>\S+) \S+ .*? \[[^\]]*\] "(?P<request>(?:[^"\\]|\\.)*)" \d{3} (?:\d+|-)(?: .*)?', re.DOTALL
)
"""An entry of the common log format, with whatever a server adds behind: in combined two quoted texts."""
_LINE = re.compile(rb"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/\d(?:\.\d)?")
_ESCAPE = re.compile(rb"\\x([0-9A-Fa-f]{2})|\\([\"\\])")
_LONGEST_LINE = 64 * 1024
_MOST_BYTES = 1 << 30
"""Bytes of a HAR file, which is read whole."""


class _HeaderField(BaseModel):
    name: str
    value: str


class _Request(BaseModel):
    method: str
    url: str
    headers: list[_HeaderField] = []


class _Entry(BaseModel):
    request: _Request


class _Log(BaseModel):
    entries: list[_Entry]


class _Har(BaseModel):
    log: _Log


def read_recording(file: Path) -> Iterator[Recorded]:
    """The requests of a file, in its order. Raises EvidenceError, which names the line, and OSError.

    Entries of a log that hold no request (a handshake at the wrong port, a broken connection) are left out.
    """
    opened: Any = gzip.open if _begins(file, 2) == _GZIP else Path.open
    with opened(file, "rb") as lines:
        if lines.peek(8).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
            yield from _har(file, lines.read(_MOST_BYTES))
        else:
            yield from _log(file, lines)


def _begins(file: Path, size: int) -> bytes:
    with file.open("rb") as opened:
        return opened.read(size)


def _log(file: Path, lines: Any) -> Iterator[Recorded]:
    number = 0
    while line := lines.readline(_LONGEST_LINE):
        number += 1
        if not line.strip():
            continue
        entry = _ENTRY.fullmatch(line.rstrip(b"\r\n"))
        if entry is None:
            raise EvidenceError(
                f"{file}:{number}: this is no line of an access log in combined format, "
                '`HOST - USER [TIME] "METHOD TARGET HTTP/1.1" STATUS BYTES "REFERER" "AGENT"`, '
                "and the file is no HAR file either, which begins with {."
            )
        request = _LINE.fullmatch(_ESCAPE.sub(_unescaped, entry["request"]))
        if request is not None:
            yield Recorded(request["method"], request["target"])


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 16)]) if found[1] else found[2]


def _har(file: Path, content: bytes) -> Iterator[Recorded]:
    try:
        har = _Har.model_validate(json.loads(content.decode("utf-8-sig")))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise EvidenceError(
            f"{file}: `{place}`: this is no HAR file: {first['msg']}. Save one in a browser's network tab."
        ) from None
    except json.JSONDecodeError as error:
        raise EvidenceError(
            f"{file}:{error.lineno}: this begins like a HAR file, but is not JSON from column "
            f"{error.colno} on ({error.msg}). Save it again."
        ) from None
    except UnicodeDecodeError as error:
        raise EvidenceError(f"{file}: this is not UTF-8 at byte {error.start}. Save it again.") from None
    for number, entry in enumerate(har.log.entries):
        yield _recorded(f"{file}: `log.entries.{number}.request`", entry.request)


def _recorded(place: str, request: _Request) -> Recorded:
    url = urlsplit(request.url)
    if url.scheme not in {"http", "https"} or not url.netloc:
        raise EvidenceError(f"{place}: its `url` does not begin with http:// or https:// and a host.")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Recorded(
        request.method.encode("ascii", "replace"),
        quote(target, safe=string.punctuation).encode(),
        tuple(
            (field.name.encode("latin-1", "replace"), field.value.encode("latin-1", "replace"))
            for field in request.headers
            if not field.name.startswith(":")  # how HTTP/2 says what the request line says
        ),
        url.netloc.rpartition("@")[2].encode("ascii", "replace"),
        url.scheme.encode(),
    )
