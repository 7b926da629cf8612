"""A request that the monolith answered, as the shadow asks it once more."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facade.compare_location import Asked
from facade.config import Upstream
from facade.headers import SHADOW_MARKER
from facade.mirror import Copy, Whole
from facade.outgoing import addressed

if TYPE_CHECKING:
    from facade.exchange import Exchange


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The request with the copy of the monolith's answer, which took ``primary_ms``. ``lines`` are the header
    lines for the upstream."""

    phase: str
    route: str
    request_id: str
    method: bytes
    target: bytes
    lines: bytes
    nameless: bool
    copy: Copy | Whole
    primary_ms: float

    @classmethod
    def of(cls, exchange: "Exchange", phase: str, route: str, copy: Copy, seconds: float) -> "Mirrored":
        """Of a request that is over."""
        forward = exchange.fields.forward if exchange.forward is None else exchange.forward
        return cls(
            phase,
            route,
            exchange.request_id.decode("latin-1"),
            exchange.method,
            exchange.target,
            b"%bX-Request-ID: %b\r\n%b: 1\r\n" % (forward, exchange.request_id, SHADOW_MARKER),
            exchange.fields.nameless,
            copy,
            seconds * 1000,
        )

    def request(self, upstream: Upstream) -> bytes:
        """As it is written to this server."""
        target, lines = self.target, self.lines
        if upstream.own_host or self.nameless:
            target, lines = addressed(target, lines, upstream)
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.method, target, lines)

    def asked(self, own: frozenset[str]) -> Asked:
        """As its client sees it; ``own`` are the names of the sides that mean the client's."""
        if not self.target.startswith(b"/"):
            return Asked(self.target.decode("latin-1"), own)
        fields = {}
        for line in self.lines.split(b"\r\n"):
            name, _, value = line.partition(b":")
            fields[name.lower()] = value.strip()
        host, scheme = fields.get(b"x-forwarded-host"), fields.get(b"x-forwarded-proto")
        if not host or not scheme:
            return Asked("", own)
        return Asked((scheme + b"://" + host + self.target).decode("latin-1"), own)
