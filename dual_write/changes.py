"""Keys that changed since a mark: what a check looks at again, and what one begins with that goes on."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dual_write.adapter import Adapter, Position
from dual_write.apply import WHOLE_TABLE
from dual_write.carrier import Carrier
from dual_write.channel import Channel
from dual_write.errors import MappingError
from dual_write.mapping import TableFlow
from dual_write.rows import Reader, Row

TOGETHER = 5_000
"""So many keys at most are given at once."""

_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in both sides' change logs: whatever was captured at or before these ids is committed."""

    source: int
    target: int

    def __str__(self) -> str:
        return f"change {self.source} of the source and {self.target} of the target"


class Changes:
    """What was captured on either side of one direction. ``towards`` end on the target, ``back`` begin there.

    The source's changes are read from the target's versions, which stay when the log is purged; the
    target's own, which nobody should have made, from its log, where they wait.
    """

    def __init__(self, towards: Sequence[Channel], back: Sequence[Channel]) -> None:
        self._towards = towards
        self._back = back

    def mark(self) -> Mark | None:
        """A mark for now; None when a transaction stays open for long, which may still write before it."""
        until = time.monotonic() + _PATIENCE_SECONDS
        channel = self._towards[0]
        ids = [_settled(database, until) for database in (channel.source, channel.target)]
        source, target = ids
        return None if source is None or target is None else Mark(source, target)

    def since(self, flow: TableFlow, mark: Mark) -> Iterator[list[Row] | None]:
        """The keys of ``flow`` that changed behind ``mark`` and were applied, as a driver delivers them.

        A key may come twice. None stands for the whole table, which was truncated.
        """
        for channel in self._towards:
            if (made := _carrying(channel, flow.target)) is None:
                continue
            for lane in made.flow.lanes:
                for keys in _applied(channel, lane, mark.source):
                    yield _delivered(channel, made.reader, keys)
            parked = [entry.key for entry in channel.parked() if entry.table in made.flow.lanes]
            if parked:
                yield _delivered(channel, made.reader, parked)
        for channel in self._back:
            if (made := _reading(channel, flow.target)) is not None:
                for keys in _captured(channel, flow.target, mark.target):
                    yield _delivered(channel, made.reader, keys)


def _settled(database: Adapter, until: float) -> int | None:
    """The log's newest id, once whoever was writing by then has ended: he may have drawn an earlier one."""
    with database.reading() as session:
        if not database.has_bookkeeping(session):
            return 0
        newest = database.newest(session)
        writing = database.writing_now(session)
    while writing:
        if time.monotonic() > until:
            return None
        time.sleep(_PAUSE_SECONDS)
        with database.reading() as session:
            writing &= database.writing_now(session)
    return newest


def _carrying(channel: Channel, target: str) -> Carrier | None:
    """What fills the table. Raises SchemaError when it cannot be carried now, or MappingError."""
    return next((made for made in channel.whole.ordered if made.flow.target == target), None)


def _reading(channel: Channel, source: str) -> Carrier | None:
    """What reads the table, by keys in its own form; nothing does where the stream cannot run this way."""
    if source not in {each.table for each in channel.stream.captured()}:
        return None
    try:
        return next((made for made in channel.whole.ordered if source in made.flow.lanes.values()), None)
    except MappingError:
        return None


def _applied(channel: Channel, lane: str, after: int) -> Iterator[list[str]]:
    """Batches by key, so that no transaction stays open while they are looked at."""
    last = None
    while True:
        behind, values = ("", ()) if last is None else (" AND key > ?", (last,))
        with channel.target.reading() as session:
            rows = session.execute(
                f"SELECT key FROM {channel.target.name('version')} "
                f"WHERE stream = ? AND tbl = ? AND seq > ?{behind} ORDER BY key LIMIT ?",
                channel.stream.name,
                lane,
                after,
                *values,
                TOGETHER,
            )
        keys = [key for (key,) in rows]
        if not keys:
            return
        yield keys
        last = keys[-1]


def _captured(channel: Channel, table: str, after: int) -> Iterator[list[str]]:
    while True:
        with channel.source.reading() as session:
            changes = channel.source.remaining(
                session, channel.stream.name, Position(id=0, floor=after), TOGETHER
            )
        if not changes:
            return
        keys = [change.key or WHOLE_TABLE for change in changes if change.table == table]
        if keys:
            yield list(dict.fromkeys(keys))
        after = changes[-1].id


def _delivered(channel: Channel, reader: Reader, keys: Sequence[str]) -> list[Row] | None:
    if WHOLE_TABLE in keys:
        return None
    with channel.source.reading() as session:
        return reader.delivered(session, keys)
