"""What in a request its decision depends on: routing key, sticky cookie, own writes, an override."""

from typing import TYPE_CHECKING

from facade.decide import decide
from facade.decision import UNMATCHED, Decision
from facade.headers import OVERRIDE
from facade.method import agree
from facade.sticky import sticky_key

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
            if routing_key.source == "jwt" and path.tokens is not None:
                key = path.tokens.claim(fields, routing_key.name)
            else:
                key = routing_key.extract(fields, exchange.target, match.parameters, body)
            exchange.key = key
        if traffic.reads is None:
            if key is None and (own is not None or not match.write):
                sticky, exchange.lines = sticky_key(fields)
            if own is not None and match.write and traffic.name in own.phases:
                exchange.pin = key or sticky
    sample = path.shadow.sampling.sample(match.route.phase, key, exchange.request_id)
    decision = decide(snapshot, match, key, sticky, sample)
    if path.overrides is not None and traffic is not None and not match.write and not decision.gone:
        forced = path.overrides.side(fields.value(OVERRIDE), traffic.name)
        if forced is not None:
            return Decision(forced, "override", traffic)
    return decision if own is None else own.turn(decision, snapshot, key, sticky, fields)
