"""The facade's edge: who is at the other end of a client's connection, and how the upstream is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PSEUDONYM = b"strangler"
"""How the facade calls itself in ``Via``."""
FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via"})

Noted = Mapping[bytes, Sequence[bytes]]
"""The values of the fields of a request that are looked at, by name."""


@dataclass(frozen=True, slots=True)
class Edge:
    """What is known of a client's connection: its address, whether it is a trusted hop, and the scheme."""

    peer: bytes
    trusted: bool
    scheme: bytes

    def lines(self, noted: Noted, host: bytes, version: bytes) -> list[bytes]:
        """The fields that say where a request came from, extended only when a trusted hop began them."""
        heard = noted if self.trusted else {}
        node = b'"[' + self.peer + b']"' if b":" in self.peer else self.peer
        element = b"for=%b;proto=%b" % (node, self.scheme) + (b';host="%b"' % host if host else b"")
        outer = _first(heard, b"x-forwarded-host") or host
        lines = [
            b"Via: " + _extended(noted, b"via", version + b" " + PSEUDONYM),
            b"X-Forwarded-For: " + _extended(heard, b"x-forwarded-for", self.peer),
            b"X-Forwarded-Proto: " + (_first(heard, b"x-forwarded-proto") or self.scheme),
            b"Forwarded: " + _extended(heard, b"forwarded", element),
        ]
        if outer:
            lines.append(b"X-Forwarded-Host: " + outer)
        return lines


def _extended(noted: Noted, name: bytes, last: bytes) -> bytes:
    before = noted.get(name)
    return last if before is None else b", ".join([*filter(None, before), last])


def _first(noted: Noted, name: bytes) -> bytes:
    return next(filter(None, noted.get(name, ())), b"")
