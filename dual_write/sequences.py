"""Sequence hand-over: the new writer's identity values begin behind the old one's."""

from dual_write.adapter import Adapter
from dual_write.mapping import TableMapping
from flags.side import Side


def hand_over(mapping: TableMapping, to: Side, source: Adapter, target: Adapter) -> None:
    """Move the identity values of ``mapping``'s table on ``to`` past all that either side has given out."""
    pairs = {column.target: column.source for column in mapping.forward if column.source is not None}
    here, there = mapping.service, mapping.monolith
    if to is Side.MONOLITH:
        pairs = {own: service for service, own in pairs.items()}
        here, there = there, here
    with target.reading() as session:
        identities = target.identities(session, here)
    for column, own in identities.items():
        if column not in pairs:
            continue  # the other side has no such numbers
        with source.reading() as session:
            given = source.highest(session, there, pairs[column])
        with target.writing() as session:
            target.advance_identity(session, here, column, max(own, given))
