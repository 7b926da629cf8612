"""Header fields on their way through: what is checked, what is left out, what is added.

Both heads are kept as the bytes that came: order, case and duplicates survive. llhttp has judged their
syntax before; what is judged here is what a parser lets pass but a gateway must not.

Left out both ways: hop-by-hop fields and those that ``Connection`` nominates. Left out of requests besides:
whatever a client might say in the facade's own name. A name spelled with ``_`` counts as spelled with ``-``,
because CGI-style servers cannot tell the two apart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from facade.trace import trace_of

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
SHADOW_MARKER = b"x-strangler-shadow"
OVERRIDE = b"x-strangler-side"
METHOD_FIELDS = frozenset({b"x-http-method-override", b"x-http-method", b"x-method-override"})
"""What frameworks take another method from."""
PSEUDONYM = b"strangler"
"""How the facade calls itself in ``Via``."""

_FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via"})
_OWN = frozenset({SHADOW_MARKER, OVERRIDE, b"x-real-ip", b"x-request-id", b"expect"})
_TRACE = frozenset({b"traceparent", b"tracestate"})
_NEVER_NOMINATED = frozenset({b"host", b"content-length", b"close", b"keep-alive"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Refused(Exception):  # noqa: N818 (it is an answer to the client, not a fault of the facade)
    """A request that must not be forwarded, and the status to answer it with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Edge:
    """What is known of a client's connection: its address, whether it is a trusted hop, and the scheme."""

    peer: bytes
    trusted: bool
    scheme: bytes


@dataclass(slots=True)  # not frozen, since that would double what making one takes
class Fields:
    """The header fields of one request, checked.

    ``pairs`` are names in lower case with their values, ``forward`` the lines for the upstream (without
    framing of a chunked body, without a request id). ``length`` is the Content-Length, -1 without one.
    ``trace`` is the id of the trace that the client's ``traceparent`` continues; ``instead`` the methods that
    fields want in place of the line's.
    """

    block: bytes
    pairs: tuple[tuple[bytes, bytes], ...]
    forward: bytes
    length: int
    chunked: bool
    close: bool
    expect: bool
    upgrade: bytes | None
    request_id: bytes | None
    http10: bool
    trace: bytes | None
    instead: tuple[bytes, ...]
    has_body: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_body = self.length > 0 or self.chunked

    def value(self, name: bytes) -> bytes:
        """The first value of a field (its name in lower case), or an empty one."""
        for key, value in self.pairs:
            if key == name:
                return value
        return b""

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.pairs if key == name]

    @property
    def nameless(self) -> bool:
        """Whether it says no host, as HTTP/1.0 may."""
        return self.http10 and not self.value(b"host")


def parse_fields(block: bytes, *, edge: Edge, http10: bool, most: int) -> Fields:
    """Check and prepare a request's header lines (each with its CRLF). Raises Refused."""
    lines = block[:-2].split(b"\r\n") if block else []
    if len(lines) > most:
        raise Refused(431, f"more than {most} header fields")
    pairs = tuple(_split(line) for line in lines)
    nominated = _nominated(pairs)
    length, chunked = _framing(pairs, http10=http10)
    host = _host(pairs, http10=http10)
    expect = _expect(pairs) and not http10
    upgrade = _upgrade(pairs, nominated) if length <= 0 and not chunked and not http10 else None
    trace = trace_of([value for name, value in pairs if name == b"traceparent"])
    kept = [
        line
        for line, (name, _) in zip(lines, pairs, strict=True)
        if _passes(name, nominated, trusted=edge.trusted) and (trace is not None or name not in _TRACE)
    ]
    kept += _forwarding(pairs, edge, host, b"1.0" if http10 else b"1.1")
    if upgrade is not None:
        kept += [b"Connection: Upgrade", b"Upgrade: " + upgrade]
    elif b"te" in nominated and not http10 and _takes_trailers(pairs):
        kept += [b"Connection: TE", b"TE: trailers"]
    if expect:
        kept.append(b"Expect: 100-continue")
    ids = [value for name, value in pairs if name == b"x-request-id"]
    return Fields(
        block,
        pairs,
        b"\r\n".join(kept) + b"\r\n",
        length,
        chunked,
        http10 or b"close" in nominated,
        expect,
        upgrade,
        ids[0] if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]) else None,
        http10,
        trace,
        tuple(_instead(pairs)) if b"method" in block.lower() else (),
    )


def may_be_set(name: str) -> bool:
    """Whether the facade may set a field of this name by configuration: none that frames or steers."""
    lower = name.lower().encode("latin-1", "replace")
    return lower not in HOP_BY_HOP | _FORWARDING | _OWN | _TRACE | {b"host", b"content-length", b"cookie"}


def without_upgrade(head: bytes) -> bytes:
    """A request's head without its Upgrade fields, as if the client had not asked."""
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(b"upgrade:"))


def check_target(method: bytes, target: bytes, fields: Fields) -> None:
    """Refuse a target that is no path, is ambiguous, or names another host than the Host field."""
    if target.startswith(b"/") and b"#" not in target:
        return
    if target == b"*" and method == b"OPTIONS":
        return
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"} or b"#" in target:
        raise Refused(400, "the request target is not a path")
    authority = re.split(rb"[/?]", rest, maxsplit=1)[0]
    if authority.lower() != fields.value(b"host").lower():
        raise Refused(400, "the request target names another host than the Host field")


def _split(line: bytes) -> tuple[bytes, bytes]:
    name, separator, value = line.partition(b":")
    if not separator or not name or name[0] in b" \t" or name[-1] in b" \t" or _CONTROL.search(line):
        raise Refused(400, "a header line is malformed")
    return name.lower(), value.strip(b" \t")


def _nominated(pairs: tuple[tuple[bytes, bytes], ...]) -> frozenset[bytes]:
    """The tokens of the Connection fields: options such as ``close``, and names of fields to leave out."""
    return frozenset(
        token.strip(b" \t").lower()
        for name, value in pairs
        if name == b"connection"
        for token in value.split(b",")
    )


def _framing(pairs: tuple[tuple[bytes, bytes], ...], *, http10: bool) -> tuple[int, bool]:
    lengths = [value for name, value in pairs if name == b"content-length"]
    codings = [value for name, value in pairs if name == b"transfer-encoding"]
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings) or (codings and http10):
        raise Refused(400, "the length of the body is ambiguous")
    if codings and codings[0].lower() != b"chunked":
        raise Refused(501, "the only transfer coding taken is chunked")
    if lengths and (not lengths[0].isdigit() or len(lengths[0]) > 18):
        raise Refused(400, "the Content-Length is not a number")
    return (int(lengths[0]) if lengths else -1), bool(codings)


def _host(pairs: tuple[tuple[bytes, bytes], ...], *, http10: bool) -> bytes:
    hosts = [value for name, value in pairs if name == b"host"]
    if not hosts and http10:
        return b""
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Refused(400, "the request needs exactly one valid Host field")
    return hosts[0]


def _expect(pairs: tuple[tuple[bytes, bytes], ...]) -> bool:
    expectations = [value.lower() for name, value in pairs if name == b"expect"]
    if any(each != b"100-continue" for each in expectations):
        raise Refused(417, "the only expectation taken is 100-continue")
    return bool(expectations)


def _upgrade(pairs: tuple[tuple[bytes, bytes], ...], nominated: frozenset[bytes]) -> bytes | None:
    """What to upgrade to. HTTP/2 would take later requests past the facade, so it is not offered on."""
    if b"upgrade" not in nominated:
        return None
    wanted = [value for name, value in pairs if name == b"upgrade"]
    if len(wanted) != 1:
        return None
    offers = [offer.strip(b" \t").lower() for offer in wanted[0].split(b",")]
    return None if any(offer.startswith((b"h2", b"http")) for offer in offers) else wanted[0]


def _instead(pairs: tuple[tuple[bytes, bytes], ...]) -> Iterator[bytes]:
    return (value.upper() for name, value in pairs if name.replace(b"_", b"-") in METHOD_FIELDS)


def _takes_trailers(pairs: tuple[tuple[bytes, bytes], ...]) -> bool:
    return any(name == b"te" and b"trailers" in value.lower().split(b",") for name, value in pairs)


def _passes(name: bytes, nominated: frozenset[bytes], *, trusted: bool) -> bool:
    """Whether a request's field goes on to the upstream as it came."""
    if name in nominated and name not in _NEVER_NOMINATED:
        return False
    plain = name.replace(b"_", b"-")
    if plain in HOP_BY_HOP or plain in _FORWARDING:
        return False
    if plain == b"x-real-ip" or (plain.startswith(b"x-forwarded-") and plain not in _FORWARDING):
        return trusted and plain == name
    return plain not in _OWN and (plain == name or plain not in {b"host", b"content-length"})


def _forwarding(
    pairs: tuple[tuple[bytes, bytes], ...], edge: Edge, host: bytes, version: bytes
) -> list[bytes]:
    """The fields that say where the request came from, extended only when a trusted hop began them."""

    def received(name: bytes) -> list[bytes]:
        return [value for key, value in pairs if key == name and value] if edge.trusted else []

    vias = [value for key, value in pairs if key == b"via" and value]
    node = b'"[' + edge.peer + b']"' if b":" in edge.peer else edge.peer
    element = b"for=" + node + b";proto=" + edge.scheme + (b';host="' + host + b'"' if host else b"")
    proto, outer = received(b"x-forwarded-proto"), received(b"x-forwarded-host") or ([host] if host else [])
    lines = [
        b"Via: " + b", ".join([*vias, version + b" " + PSEUDONYM]),
        b"X-Forwarded-For: " + b", ".join([*received(b"x-forwarded-for"), edge.peer]),
        b"X-Forwarded-Proto: " + (proto[0] if proto else edge.scheme),
        b"Forwarded: " + b", ".join([*received(b"forwarded"), element]),
    ]
    if outer:
        lines.append(b"X-Forwarded-Host: " + outer[0])
    return lines
