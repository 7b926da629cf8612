"""What in a request its decision depends on: routing key, sticky cookie, own writes, an override."""

from typing import TYPE_CHECKING

from facade.decide import decide
from facade.decision import UNMATCHED, Decision
from facade.headers import OVERRIDE
from facade.method import agree
from facade.routes import Match
from facade.routing_key import RoutingKey
from facade.sticky import sticky_key
from flags.context import Context

if TYPE_CHECKING:
    from facade.exchange import Exchange


def choose(exchange: "Exchange", body: bytes | None, *, unread: bool) -> Decision | None:
    """The decision for a request by the snapshot of this moment.

    ``body`` is its body if that was read whole; None comes back when it is still ``unread`` and the routing
    key is in it. Leaves on the exchange what it found on the way.
    """
    path, fields = exchange.path, exchange.fields
    snapshot, own = path.snapshot, path.read_your_writes
    match = exchange.match = snapshot.routes.match(exchange.method, exchange.target)
    if fields.instead:
        agree(snapshot.routes, match, exchange.method, fields.instead, exchange.target)
    if match is None:
        return UNMATCHED
    traffic = snapshot.phases.get(match.route.phase) if match.route.phase is not None else None
    key = sticky = None
    if traffic is not None and not (match.write and traffic.hold is not None):
        routing_key = path.routing_keys.get(traffic.name)
        if routing_key is not None:
            if routing_key.in_body and unread:
                return None
            key = exchange.key = _said(exchange, match, routing_key, body)
        if traffic.reads is None:
            if key is None and (own is not None or not match.write):
                sticky, exchange.lines = sticky_key(fields)
            if own is not None and match.write and traffic.name in own.phases:
                exchange.pin = key or sticky
    context = None
    if snapshot.flags.asking and traffic is not None and not match.write:
        context = Context(
            user_id=key,
            session_id=sticky,
            remote_address=exchange.client.address(fields),
            properties=_properties(exchange, match, traffic.name),
        )
    sample = path.shadow.sampling.sample(match.route.phase, key, exchange.request_id)
    decision = decide(snapshot, match, key, sticky, sample, context)
    if path.overrides is not None and traffic is not None and not match.write and not decision.gone:
        forced = path.overrides.side(fields.value(OVERRIDE), traffic.name)
        if forced is not None:
            return Decision(forced, "override", traffic)
    return decision if own is None else own.turn(decision, snapshot, key, sticky, fields)


def _said(exchange: "Exchange", match: Match, where: RoutingKey, body: bytes | None) -> str | None:
    tokens = exchange.path.tokens
    if where.source == "jwt" and tokens is not None:
        return tokens.claim(exchange.fields, where.name)
    return where.extract(exchange.fields, exchange.target, match.parameters, body)


def _properties(exchange: "Exchange", match: Match, phase: str) -> dict[str, str]:
    """What the request says under the names that the phase's flags may ask for."""
    places = exchange.path.properties.get(phase)
    if places is None:
        return {}
    found = ((name, _said(exchange, match, where, None)) for name, where in places.items())
    return {name: value for name, value in found if value is not None}
