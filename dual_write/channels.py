"""A phase's channels, one for each stream."""

from collections.abc import Mapping, Sequence

from dual_write.adapter import Adapter
from dual_write.channel import Channel
from dual_write.errors import SchemaError
from dual_write.mapping import TableMapping
from dual_write.stream import against, streams
from flags.side import Side


def channels(
    phase: str,
    mappings: Sequence[TableMapping],
    adapters: Mapping[Side, Adapter],
    *,
    outbox: bool = False,
    faults: Mapping[str, SchemaError] | None = None,
) -> list[Channel]:
    """A channel for each stream of a phase; see `streams` and `Channel`."""
    found = streams(phase, mappings, outbox=outbox)
    return [
        Channel(stream, adapters[stream.to.other], adapters[stream.to], faults, against(stream, found))
        for stream in found
    ]
