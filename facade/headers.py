"""Header fields on their way through: what is checked, what is left out, what is added.

Both heads are kept as the bytes that came: order, case and duplicates survive. llhttp has judged their
syntax before; what is judged here is what a parser lets pass but a gateway must not.

Left out both ways: hop-by-hop fields and those that ``Connection`` nominates. Left out of requests besides:
whatever a client might say in the facade's own name. A name spelled with ``_`` counts as spelled with ``-``,
because CGI-style servers cannot tell the two apart.
"""

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from facade.edge import FORWARDING, Edge, Noted
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

_OWN = frozenset({SHADOW_MARKER, OVERRIDE, b"x-real-ip", b"x-request-id", b"expect"})
_TRACE = frozenset({b"traceparent", b"tracestate"})
_NEVER_NOMINATED = frozenset({b"host", b"content-length", b"close", b"keep-alive"})
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_LOOKED_AT = FORWARDING | frozenset(
    {
        b"connection",
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"expect",
        b"upgrade",
        b"te",
        b"traceparent",
        b"x-request-id",
    }
)
_LONGEST_KNOWN = 64


class _Passage(Enum):
    """What becomes of a request's field: it passes, stops here, or passes when a trusted hop wrote it."""

    PASSES = "passes"
    STOPS = "stops"
    TRUSTED = "trusted"


_PASSES: Final = _Passage.PASSES  # as `flags.side.MONOLITH`
_STOPS: Final = _Passage.STOPS
_TRUSTED: Final = _Passage.TRUSTED


class Refused(Exception):  # noqa: N818 (it is an answer to the client, not a fault of the facade)
    """A request that must not be forwarded, and the status to answer it with."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


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
    if len(block.translate(None, _CONTROLS)) != len(block) - 2 * len(lines):
        raise _malformed()
    pairs, going = [], []
    noted: dict[bytes, list[bytes]] = {}
    for line in lines:
        raw, colon, value = line.partition(b":")
        if not colon:
            raise _malformed()
        name, passage, note = _known(raw) if len(raw) <= _LONGEST_KNOWN else _judge(raw)
        pair = (name, value.strip(b" \t"))
        pairs.append(pair)
        going.append(passage is _PASSES or (passage is _TRUSTED and edge.trusted))
        if note:
            noted.setdefault(note, []).append(pair[1])
    nominated = _nominated(noted)
    length, chunked = _framing(noted, http10=http10)
    host = _host(noted, http10=http10)
    expect = _expect(noted) and not http10
    upgrade = _upgrade(noted, nominated) if length <= 0 and not chunked and not http10 else None
    trace = trace_of(noted.get(b"traceparent", ()))
    left_out = (nominated - _NEVER_NOMINATED) | (_TRACE if trace is None else frozenset())
    kept = [
        line
        for line, (name, _), goes in zip(lines, pairs, going, strict=True)
        if goes and name not in left_out
    ]
    kept += edge.lines(noted, host, b"1.0" if http10 else b"1.1")
    if upgrade is not None:
        kept += [b"Connection: Upgrade", b"Upgrade: " + upgrade]
    elif b"te" in nominated and not http10 and _takes_trailers(noted):
        kept += [b"Connection: TE", b"TE: trailers"]
    if expect:
        kept.append(b"Expect: 100-continue")
    ids = noted.get(b"x-request-id", ())
    return Fields(
        block,
        tuple(pairs),
        b"\r\n".join(kept) + b"\r\n",
        length,
        chunked,
        http10 or b"close" in nominated,
        expect,
        upgrade,
        ids[0] if len(ids) == 1 and _REQUEST_ID.fullmatch(ids[0]) else None,
        http10,
        trace,
        tuple([value.upper() for name in METHOD_FIELDS for value in noted.get(name, ())]),
    )


def may_be_set(name: str) -> bool:
    """Whether the facade may set a field of this name by configuration: none that frames or steers."""
    lower = name.lower().encode("latin-1", "replace")
    return lower not in HOP_BY_HOP | FORWARDING | _OWN | _TRACE | {b"host", b"content-length", b"cookie"}


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


def _malformed() -> Refused:
    return Refused(400, "a header line is malformed")


def _judge(raw: bytes) -> tuple[bytes, _Passage, bytes]:
    """A field's name in lower case, whether the field goes on, and under which name it is looked at if it is.
    Raises Refused."""
    if not raw or raw[0] in b" \t" or raw[-1] in b" \t":
        raise _malformed()
    name = raw.lower()
    plain = name.replace(b"_", b"-")
    note = plain if plain in METHOD_FIELDS or (plain == name and plain in _LOOKED_AT) else b""
    return name, _passage(name, plain), note


_known = lru_cache(maxsize=1024)(_judge)
"""There are few names, and judging one takes as long as everything else that is done for its field."""


def _passage(name: bytes, plain: bytes) -> _Passage:
    """Whether a request's field goes on to the upstream as it came, unless ``Connection`` nominates it."""
    if plain in HOP_BY_HOP or plain in FORWARDING:
        return _STOPS
    if plain == b"x-real-ip" or plain.startswith(b"x-forwarded-"):
        return _TRUSTED if plain == name else _STOPS
    passes = plain not in _OWN and (plain == name or plain not in {b"host", b"content-length"})
    return _PASSES if passes else _STOPS


def _nominated(noted: Noted) -> frozenset[bytes]:
    """The tokens of the Connection fields: options such as ``close``, and names of fields to leave out."""
    values = noted.get(b"connection", ())
    return frozenset([token.strip(b" \t").lower() for value in values for token in value.split(b",")])


def _framing(noted: Noted, *, http10: bool) -> tuple[int, bool]:
    lengths, codings = noted.get(b"content-length", ()), noted.get(b"transfer-encoding", ())
    if len(lengths) > 1 or len(codings) > 1 or (lengths and codings) or (codings and http10):
        raise Refused(400, "the length of the body is ambiguous")
    if codings and codings[0].lower() != b"chunked":
        raise Refused(501, "the only transfer coding taken is chunked")
    if lengths and (not lengths[0].isdigit() or len(lengths[0]) > 18):
        raise Refused(400, "the Content-Length is not a number")
    return (int(lengths[0]) if lengths else -1), bool(codings)


def _host(noted: Noted, *, http10: bool) -> bytes:
    hosts = noted.get(b"host", ())
    if not hosts and http10:
        return b""
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Refused(400, "the request needs exactly one valid Host field")
    return hosts[0]


def _expect(noted: Noted) -> bool:
    expectations = noted.get(b"expect", ())
    if any(each.lower() != b"100-continue" for each in expectations):
        raise Refused(417, "the only expectation taken is 100-continue")
    return bool(expectations)


def _upgrade(noted: Noted, nominated: frozenset[bytes]) -> bytes | None:
    """What to upgrade to. HTTP/2 would take later requests past the facade, so it is not offered on."""
    wanted = noted.get(b"upgrade", ())
    if b"upgrade" not in nominated or len(wanted) != 1:
        return None
    offers = [offer.strip(b" \t").lower() for offer in wanted[0].split(b",")]
    return None if any(offer.startswith((b"h2", b"http")) for offer in offers) else wanted[0]


def _takes_trailers(noted: Noted) -> bool:
    return any(b"trailers" in value.lower().split(b",") for value in noted.get(b"te", ()))
