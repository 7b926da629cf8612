"""Which side answers a request. Pure: everything it knows comes in as an argument.

A decision is made from one snapshot and never looks at another: what happens to the request later (hold,
fallback) starts from this decision, or makes a new one.
"""

from facade.decision import AGGREGATED, UNCLAIMED, UNMATCHED, Choices, Decision
from facade.routes import Match, Route
from facade.snapshot import Snapshot
from flags.context import Context
from flags.side import MONOLITH, SERVICE, Side


def decide(
    snapshot: Snapshot,
    match: Match | None,
    key: str | None,
    sticky: str | None,
    sample: bytes,
    context: Context | None = None,
) -> Decision:
    """Decide one request.

    ``key`` is its routing key; ``sticky`` stands in for a missing one when a read is split (the value of
    the facade's own cookie), but never owns a write. The shadow's share is drawn by ``sample``. ``context``
    is for the flags that ask for more.
    """
    if match is None:
        return UNMATCHED
    route = match.route
    choices = snapshot.choices.get(route.phase)
    if choices is None:
        return UNCLAIMED if route.aggregate is None else AGGREGATED
    if match.write or route.retired:
        return _decide_write(choices, route, key, write=match.write)
    if choices.reads.enabled(key or sticky, context):
        return choices.service
    return choices.shadowed if choices.shadow.includes(sample, context) else choices.monolith


def _decide_write(choices: Choices, route: Route, key: str | None, *, write: bool) -> Decision:
    """Also for the reads of a retired route: nothing of it is the service's."""
    traffic = choices.traffic
    if route.retired and traffic.retired:
        return Decision(traffic.writer, "gone", traffic, write, gone=True)
    if write and traffic.hold is not None:
        return Decision(traffic.writer, "held", traffic, write, hold=True)
    if route.retired:
        return Decision(MONOLITH, "retired", traffic, write)
    if not traffic.split_writes:
        return choices.write
    if key is None:
        return Decision(traffic.writer, "no routing key", traffic, write)
    return Decision(writer_of(choices, key), "split writes", traffic, write, split=True)


def writer_of(choices: Choices, key: str | None) -> Side:
    """The side that accepts the writes of this routing key."""
    if key is None:
        return choices.traffic.writer
    return SERVICE if choices.writes.enabled(key) else MONOLITH
