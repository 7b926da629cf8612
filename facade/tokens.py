"""Bearer tokens (JWT): verified once, remembered until they expire or the issuer's keys change."""

from collections.abc import Mapping
from time import time
from typing import Any, NamedTuple

import jwt

from facade.config import TokenRules
from facade.headers import Fields
from facade.jwks import KeySet

_REMEMBERED = 4096


class Verdict(NamedTuple):
    """What a request's token is worth: its claims, or what is wrong with it. Both None: it has none.

    ``wait``: it may be good, but the key that would tell is still being fetched.
    """

    claims: Mapping[str, Any] | None = None
    problem: str | None = None
    wait: bool = False


NO_TOKEN = Verdict()


class Tokens:
    """Verification by the rules of the plan. ``keys`` are the issuer's, if it publishes them."""

    def __init__(self, rules: TokenRules) -> None:
        self.rules = rules
        self.keys = KeySet(rules.jwks, rules.refresh) if rules.jwks is not None else None
        self._known: dict[bytes, tuple[Verdict, float, int]] = {}

    def verdict(self, fields: Fields) -> Verdict:
        """About the bearer token of a request."""
        given = fields.values(b"authorization")
        if not given:
            return NO_TOKEN
        scheme, _, token = given[0].partition(b" ")
        if scheme.lower() != b"bearer":
            return NO_TOKEN
        if len(given) > 1:
            return Verdict(problem="there is more than one")
        known = self._known.get(given[0])
        generation = 0 if self.keys is None else self.keys.generation
        if known is not None and time() < known[1] and known[2] == generation:
            return known[0]
        verdict = self._verify(token.strip())
        if verdict.claims is not None:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            expires = float(verdict.claims["exp"]) + self.rules.leeway
            self._known[given[0]] = verdict, expires, generation
        return verdict

    def claim(self, fields: Fields, name: str) -> str | None:
        """A verified claim as text, if it identifies: a text, or a whole number written as one."""
        value = (self.verdict(fields).claims or {}).get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        return value or None if isinstance(value, str) else None

    def _verify(self, token: bytes) -> Verdict:
        rules = self.rules
        try:
            head = jwt.get_unverified_header(token)
            algorithm = head.get("alg")
            if algorithm not in rules.algorithms:
                return Verdict(problem="its algorithm is not accepted")
            key: Any = rules.secret
            if algorithm != "HS256":
                found = self.keys.key(head.get("kid")) if self.keys is not None else None
                if found is None:
                    wait = self.keys is not None and self.keys.miss()
                    return Verdict(problem="its key is not known", wait=wait)
                if found.algorithm_name != algorithm:
                    return Verdict(problem="its key is of another kind")
                key = found.key
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                leeway=rules.leeway,
                options={"require": ["exp"], "verify_aud": rules.audience is not None},
            )
        except (jwt.PyJWTError, ValueError) as error:
            return Verdict(problem=_REASONS.get(type(error), "it is not valid"))
        return Verdict(claims)


_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.InvalidAudienceError: "it is for somebody else",
    jwt.InvalidIssuerError: "it is from somebody else",
    jwt.MissingRequiredClaimError: "it lacks a claim",
}
