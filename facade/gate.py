"""Who is let in: what is asked of a request once it is decided and before it goes anywhere."""

from collections.abc import Mapping
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import orjson

from facade.config import TokenRules
from facade.headers import OVERRIDE
from facade.override import Overrides
from facade.rate import RateLimits
from facade.tokens import Tokens, Verdict

if TYPE_CHECKING:
    from facade.exchange import Exchange


class Refusal(NamedTuple):
    """The facade's own answer to a request that is not let in; ``event`` is how it is counted."""

    event: str
    status: int
    text: str
    line: bytes


class Gate:
    """The duties that are configured, of one worker. ``authenticated`` are the phases that want a token."""

    def __init__(
        self,
        rates: RateLimits | None,
        tokens: Tokens | None,
        authenticated: frozenset[str],
        overrides: Overrides | None,
    ) -> None:
        self._rates = rates
        self._tokens = tokens
        self._authenticated = authenticated
        self._overrides = overrides

    def refusal(self, exchange: "Exchange") -> Refusal | None:
        """Why this request is not let in. Asked once for each request: it takes a token from its bucket.

        Leaves on the exchange what goes to the upstream instead of the fields as they came.
        """
        match = exchange.match
        phase = match.route.phase or "" if match is not None else ""
        return (
            (self._too_fast(exchange, phase) if self._rates is not None else None)
            or (self._unauthenticated(exchange, self._tokens, phase) if self._tokens is not None else None)
            or (self._forced(exchange, self._overrides) if self._overrides is not None else None)
        )

    def admits(self, exchange: "Exchange") -> bool:
        """Let a request in, or answer why not."""
        refusal = self.refusal(exchange)
        if refusal is None:
            return True
        exchange.count(refusal.event)
        exchange.answer(refusal.status, refusal.text, refusal.line)
        return False

    def _too_fast(self, exchange: "Exchange", phase: str) -> Refusal | None:
        assert self._rates is not None  # noqa: S101 (asked only then)
        wait = self._rates.wait(phase, exchange.key, exchange.client.address(exchange.fields))
        if not wait:
            return None
        again = b"Retry-After: %d" % ceil(wait)
        return Refusal("rate_limited", 429, "Too many requests. Try again later.", again)

    def _unauthenticated(self, exchange: "Exchange", tokens: Tokens, phase: str) -> Refusal | None:
        verdict = tokens.verdict(exchange.fields)
        refusal = _challenge(verdict) if phase in self._authenticated else None
        if refusal is None and tokens.rules.rewrites:
            exchange.forward = rewritten(exchange.fields.forward, verdict.claims or {}, tokens.rules)
        return refusal

    @staticmethod
    def _forced(exchange: "Exchange", overrides: Overrides) -> Refusal | None:
        given = exchange.fields.value(OVERRIDE)
        if not given or overrides.valid(given):
            return None
        text = "The override token is not valid, or has expired. Leave it out, or get a new one."
        return Refusal("override_refused", 403, text, b"Vary: X-Strangler-Side")


def _challenge(verdict: Verdict) -> Refusal | None:
    """What to say to a request for a phase that wants a good token."""
    if verdict.wait:
        text = "The key of the token is being fetched. Try again."
        return Refusal("unauthenticated", 503, text, b"Retry-After: 1")
    if verdict.problem is not None:
        text = f"The token is refused: {verdict.problem}."
        return Refusal("unauthenticated", 401, text, b'WWW-Authenticate: Bearer error="invalid_token"')
    if verdict.claims is None:
        text = "This needs a token: Authorization: Bearer …"
        return Refusal("unauthenticated", 401, text, b"WWW-Authenticate: Bearer")
    return None


def rewritten(lines: bytes, claims: Mapping[str, Any], rules: TokenRules) -> bytes:
    """A request's header lines with the claims that are passed on, and without what a client might say there.

    A claim that is no text is written as JSON; what a header cannot carry is percent-encoded.
    """
    mine = {header.lower().encode() for header in rules.forward.values()}
    if not rules.forward_token:
        mine.add(b"authorization")
    kept = [
        line
        for line in lines.removesuffix(b"\r\n").split(b"\r\n")
        if line.partition(b":")[0].lower().replace(b"_", b"-") not in mine
    ]
    for name, header in rules.forward.items():
        value = claims.get(name)
        if value is not None:
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            kept.append(f"{header}: {quote(text, safe=_PLAIN)}".encode())
    return b"\r\n".join(kept) + b"\r\n"


_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
