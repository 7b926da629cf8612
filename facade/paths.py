"""The one normalisation of a request's path, used for matching only; the raw target is what is forwarded.

In this order: the scheme and authority of an absolute-form target, the query and the fragment are left
out; percent-encoding is decoded once (as ASGI and WSGI servers do before they route, so ``%2F`` separates);
a line feed at the end is dropped (``$`` in the expressions of frameworks looks past it); ``.`` and ``..``
segments are resolved; empty segments (double slashes, a trailing slash) are dropped. Paths stay
case-sensitive. What is decoded is not decoded again: ``%252e`` is the text ``%2e``.

Upstreams do less than that, or more. `readings` are the other ways to understand a path: without resolving
anything (Starlette), and without ``;parameters`` (servlet containers). A path that belongs to different
routes in different readings is refused, so no spelling leads around a route.
"""

import re
import string
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

_PLAIN = (string.ascii_letters + string.digits + "/-_.~").encode()
"""What is the same to every reader, as long as no segment is empty or begins with a dot."""
_SLASH = 0x2F
_HASH = 0x23
_BEHIND_AUTHORITY = re.compile(rb"[/?#]")


def segments(target: bytes) -> list[str]:
    """The normalised segments of a raw request target: ``/a//b/../c/?x=1`` gives ``["a", "c"]``."""
    return _resolved(literal(target))


def literal(target: bytes) -> list[str]:
    """The segments of a raw target, decoded and nothing else: ``/a//b/?x`` gives ``["a", "", "b", ""]``."""
    path = raw_path(target)
    if b"%" in path:
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "surrogateescape").split("/")[1:]


def readings(path: bytes) -> Iterable[list[str]]:
    """Every way to understand a raw path, the plainest first: one for most paths."""
    if is_plain(path):
        return (path.decode("ascii").split("/")[1:],)
    return _readings(path)


def is_plain(path: bytes) -> bool:
    """Whether every server understands a raw path in the same way, whatever the routes are."""
    if path.translate(None, _PLAIN) or b"//" in path or b"/." in path:
        return False
    return path[-1] != _SLASH


def _readings(path: bytes) -> Iterator[list[str]]:
    plain = literal(path)
    yield plain
    resolved = _resolved(plain)
    if resolved != plain:
        yield resolved
    if any(";" in part for part in plain):
        yield _resolved([part.partition(";")[0] for part in plain])


def raw_path(target: bytes) -> bytes:
    """The path of a raw target, still encoded. Always starts with a slash, but for ``*`` gives ``/*``."""
    if target[:1] != b"/":
        _, separator, rest = target.partition(b"://")
        if separator:
            behind = _BEHIND_AUTHORITY.search(rest)
            target = rest[behind.start() :] if behind is not None else b"/"
        if not target.startswith(b"/"):
            target = b"/" + target
    path = target.partition(b"?")[0]
    return path.partition(b"#")[0] if _HASH in path else path


def raw_query(target: bytes) -> bytes:
    """The query of a raw target, still encoded, without its question mark."""
    return target.partition(b"?")[2].partition(b"#")[0]


def _resolved(parts: list[str]) -> list[str]:
    if parts[-1].endswith("\n"):
        parts = [*parts[:-1], parts[-1][:-1]]
    if "" not in parts and "." not in parts and ".." not in parts:
        return parts
    resolved: list[str] = []
    for part in parts:
        if part == "..":
            if resolved:
                resolved.pop()
        elif part not in {"", "."}:
            resolved.append(part)
    return resolved
