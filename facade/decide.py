"""Which side answers a request. Pure: everything it knows comes in as an argument.

A decision is made from one snapshot and never looks at another: what happens to the request later (hold,
fallback) starts from this decision, or makes a new one.
"""

from typing import NamedTuple

from facade.routes import Match
from facade.snapshot import PhaseTraffic, Snapshot
from flags.context import Context
from flags.side import MONOLITH, SERVICE, Side


class Decision(NamedTuple):
    """Where a request goes, and why.

    ``phase`` is None when no phase claims the request. ``hold``: it is a write of a phase whose fence is
    up, and waits. ``gone``: its route was retired and the phase is complete (410). ``fallback``: the
    monolith may answer it when the service fails. ``split``: a flag chose, so the choice must be sticky.
    """

    side: Side
    reason: str
    phase: PhaseTraffic | None = None
    write: bool = False
    shadow: bool = False
    fallback: bool = False
    hold: bool = False
    gone: bool = False
    split: bool = False


UNMATCHED = Decision(MONOLITH, "unmatched")
UNCLAIMED = Decision(MONOLITH, "unclaimed")
AGGREGATED = Decision(MONOLITH, "aggregated")
"""The answer is made of parts, and each part is decided for itself."""


def decide(
    snapshot: Snapshot,
    match: Match | None,
    key: str | None,
    sticky: str | None,
    request_id: str,
    context: Context | None = None,
) -> Decision:
    """Decide one request.

    ``key`` is its routing key; ``sticky`` stands in for a missing one when a read is split (the value of
    the facade's own cookie), but never owns a write. Shadow samples are drawn by ``request_id``. ``context``
    is for the flags that ask for more.
    """
    if match is None:
        return UNMATCHED
    route = match.route
    traffic = snapshot.phases.get(route.phase) if route.phase is not None else None
    if traffic is None:
        return UNCLAIMED if route.aggregate is None else AGGREGATED
    if route.retired and traffic.retired:
        return Decision(traffic.writer, "gone", traffic, match.write, gone=True)
    if match.write and traffic.hold is not None:
        return Decision(traffic.writer, "held", traffic, write=True, hold=True)
    if route.retired:
        return Decision(MONOLITH, "retired", traffic, match.write)
    choose = _decide_write(snapshot, traffic, key) if match.write else None
    return choose or _decide_read(snapshot, traffic, key or sticky, request_id, context)


def _decide_write(snapshot: Snapshot, traffic: PhaseTraffic, key: str | None) -> Decision:
    if not traffic.split_writes:
        return Decision(traffic.writer, "writer", traffic, write=True)
    if key is None:
        return Decision(traffic.writer, "no routing key", traffic, write=True)
    return Decision(writer_of(snapshot, traffic, key), "split writes", traffic, write=True, split=True)


def writer_of(snapshot: Snapshot, traffic: PhaseTraffic, key: str | None) -> Side:
    """The side that accepts the writes of this routing key."""
    if not traffic.split_writes or key is None:
        return traffic.writer
    return SERVICE if snapshot.flags.enabled(f"{traffic.name}.writes", key) else MONOLITH


def _decide_read(
    snapshot: Snapshot, traffic: PhaseTraffic, key: str | None, request_id: str, context: Context | None
) -> Decision:
    side = traffic.reads
    split = side is None
    if side is None:
        side = SERVICE if snapshot.flags.enabled(f"{traffic.name}.reads", key, context) else MONOLITH
    reason = "split reads" if split else "stage"
    if side is SERVICE:
        return Decision(side, reason, traffic, False, False, traffic.fallback, False, False, split)
    shadow = traffic.shadow and snapshot.flags.enabled(f"{traffic.name}.shadow", request_id, context)
    # By position, as above: names would be a tenth of the whole decision.
    return Decision(side, reason, traffic, False, shadow, False, False, False, split)
