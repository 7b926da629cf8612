"""The one normalisation of a request's path, used for matching only; the raw target is what is forwarded.

In this order: the scheme and authority of an absolute-form target, the query and the fragment are left
out; percent-encoding is decoded once (as ASGI and WSGI servers do before they route, so ``%2F`` separates);
``.`` and ``..`` segments are resolved; empty segments (double slashes, a trailing slash) are dropped.
Paths stay case-sensitive, and ``;parameters`` stay part of their segment. What is decoded is not decoded
again: ``%252e`` is the text ``%2e``.
"""

from urllib.parse import unquote_to_bytes


def segments(target: bytes) -> list[str]:
    """The normalised segments of a raw request target: ``/a//b/../c/?x=1`` gives ``["a", "c"]``."""
    path = raw_path(target)
    if b"%" in path:
        path = unquote_to_bytes(path)
    parts = path.decode("utf-8", "surrogateescape").split("/")
    if "" not in parts[1:] and "." not in parts and ".." not in parts:
        return parts[1:]
    resolved: list[str] = []
    for part in parts[1:]:
        if part == "..":
            if resolved:
                resolved.pop()
        elif part not in {"", "."}:
            resolved.append(part)
    return resolved


def raw_path(target: bytes) -> bytes:
    """The path of a raw target, still encoded. Always starts with a slash, but for ``*`` gives ``/*``."""
    if not target.startswith(b"/"):
        _, separator, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2] if separator else b"/" + target
    if b"?" in target:
        target = target[: target.index(b"?")]
    if b"#" in target:
        target = target[: target.index(b"#")]
    return target


def raw_query(target: bytes) -> bytes:
    """The query of a raw target, still encoded, without its question mark."""
    return target.partition(b"?")[2].partition(b"#")[0]
