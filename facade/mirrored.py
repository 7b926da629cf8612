"""A request that the monolith answered, as the shadow asks it once more."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facade.compare_location import Asked
from facade.config import Upstream
from facade.headers import SHADOW_MARKER
from facade.mirror import Copy, Whole
from facade.outgoing import addressed
from facade.routes import Match

if TYPE_CHECKING:
    from facade.exchange import Exchange


_EXPECT = b"Expect: 100-continue\r\n"
_HOST = re.compile(rb"\nX-Forwarded-Host: ([^\r]+)")
_SCHEME = re.compile(rb"\nX-Forwarded-Proto: ([^\r]+)")
"""As the facade itself writes them; a client's own do not get that far."""


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The request with the copy of the monolith's answer, which took ``primary_ms``, and of its own ``body``.

    ``lines`` are the header lines for the upstream. It is counted under ``group``. ``calibrate``: the
    monolith is asked as well. What is a ``write`` is never asked again.
    """

    phase: str
    route: str
    group: str
    request_id: str
    method: bytes
    target: bytes
    lines: bytes
    nameless: bool
    copy: Copy | Whole
    primary_ms: float
    body: bytes = b""
    write: bool = False
    calibrate: bool = False

    @classmethod
    def of(cls, exchange: "Exchange", match: Match, group: str, copy: Copy, seconds: float) -> "Mirrored":
        """Of a request that is over. Raises NoAnswer when its body is not known."""
        forward = exchange.fields.forward if exchange.forward is None else exchange.forward
        body = b"" if exchange.upload is None else exchange.upload.body()
        if exchange.upload is not None:
            forward = forward.replace(_EXPECT, b"")
            if exchange.fields.chunked:
                forward += b"Content-Length: %d\r\n" % len(body)
        phase = match.route.phase or ""
        flags = exchange.path.snapshot.flags
        return cls(
            phase,
            match.route.name or match.route.path,
            group,
            exchange.request_id.decode("latin-1"),
            exchange.method,
            exchange.target,
            b"%bX-Request-ID: %b\r\n%b: 1\r\n" % (forward, exchange.request_id, SHADOW_MARKER),
            exchange.fields.nameless,
            copy,
            seconds * 1000,
            body,
            match.write,
            not match.write and flags.enabled(f"{phase}.calibrate", exchange.request_id.decode("latin-1")),
        )

    def request(self, upstream: Upstream) -> bytes:
        """As it is written to this server."""
        target, lines = self.target, self.lines
        if upstream.own_host or self.nameless:
            target, lines = addressed(target, lines, upstream)
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (self.method, target, lines, self.body)

    def asked(self, own: frozenset[str]) -> Asked:
        """As its client sees it; ``own`` are the names of the sides that mean the client's."""
        if not self.target.startswith(b"/"):
            return Asked(self.target.decode("latin-1"), own)
        host, scheme = _HOST.search(self.lines), _SCHEME.search(self.lines)
        if host is None or scheme is None:
            return Asked("", own)
        return Asked((b"%b://%b%b" % (scheme[1], host[1], self.target)).decode("latin-1"), own)
