"""Which requests the shadow takes: safe reads by the share that its flag says, some of each rare route, and
of the routes that opted in also writes and what has a body."""

from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING

from facade.config import ShadowRules
from flags.side import MONOLITH

if TYPE_CHECKING:
    from facade.exchange import Exchange

SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_MINUTE = 60.0


class Sampling:
    """The choice of one worker."""

    def __init__(self, phases: Mapping[str, ShadowRules]) -> None:
        self._by_key = frozenset(name for name, chosen in phases.items() if chosen.by_key)
        self._phases = phases
        self._due: dict[tuple[str, str], float] = {}

    def takes(self, exchange: "Exchange") -> bool:
        """Whether the monolith's answer is copied for a comparison. Asked where the phase casts a shadow."""
        decision, match, fields = exchange.decision, exchange.match, exchange.fields
        if decision.side is not MONOLITH or match is None or decision.phase is None:
            return False
        if fields.upgrade is not None or match.route.retired or decision.reason == _FORCED:
            return False
        chosen = self._phases.get(decision.phase.name) or _DEFAULT
        plain = exchange.method in SAFE and not decision.write and not fields.has_body
        route = match.route.name or match.route.path
        if not plain and route not in chosen.mirror:
            return False
        phase, drawn = decision.phase.name, decision.shadow
        share = exchange.path.snapshot.flags.rule(f"{phase}.shadow")
        if decision.write:
            drawn = share.includes(self.sample(phase, exchange.key, exchange.request_id))
        if not chosen.at_least or not share.share:
            return drawn
        return self._is_due((phase, route), chosen.at_least, drawn=drawn)

    def sample(self, phase: str | None, key: str | None, request_id: bytes) -> bytes:
        """What the share is drawn by."""
        return request_id if key is None or phase not in self._by_key else key.encode(*_ANY_TEXT)

    def _is_due(self, route: tuple[str, str], least: float, *, drawn: bool) -> bool:
        """Whether it is drawn, or its route has had less than its least; what was drawn counts as well."""
        now = monotonic()
        if not drawn and now < self._due.get(route, 0.0):
            return False
        self._due[route] = now + _MINUTE / least
        return True


_FORCED = "override"
_ANY_TEXT = ("utf-8", "surrogatepass")
_DEFAULT = ShadowRules()
