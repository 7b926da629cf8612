"""Applying what consumers receive: rows, versions, offsets and position in one transaction of the target."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dual_write import inbox as inboxes
from dual_write import kafka_inbox, parking
from dual_write.apply import WHOLE_TABLE, Work
from dual_write.channel import Channel
from dual_write.errors import SchemaError
from dual_write.kafka_clients import Record
from dual_write.kafka_message import Kind, Message, Watermark, decode
from dual_write.rows import Row, Session

Name = tuple[str, str]
"""A row: its table, and its key's text."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one partition delivered, from the offset ``start`` on."""

    start: int
    records: Sequence[Record]

    @property
    def end(self) -> int:
        return self.records[-1].offset + 1


_WITH_ROW = frozenset({Kind.UPSERT, Kind.OMITTED})


class Inlet:
    """Takes one stream's messages into its target."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def take(self, batches: Mapping[int, Batch]) -> dict[int, int]:
        """Apply the batches; for each partition the offset to go on from.

        A batch that another consumer was quicker with is dropped. Raises FencedError when the stream is
        closed, and SchemaError when a table has changed.
        """
        channel, name = self._channel, self._channel.stream.name
        target, view = channel.target, channel.view
        decoded = {
            part: [decode(record.value) for record in batch.records] for part, batch in batches.items()
        }
        fetched = self._fetch(message for messages in decoded.values() for message in messages)
        with target.writing() as there:
            locked = inboxes.read(target, there, name, lock=True)
            inboxes.require_open(locked, name)
            if view.outdated(target.shapes(there, list(view.target)), of_source=False):
                raise SchemaError(f"{name!r}: a table has changed, and is looked at again")
            places = kafka_inbox.read(target, there, name)
            current = {
                part: batch
                for part, batch in batches.items()
                if part in places and places[part].next_offset == batch.start
            }
            arrived: list[Message] = []
            for part, batch in current.items():
                place = replace(places[part], next_offset=batch.end)
                for each in decoded[part]:
                    if each is None or not kafka_inbox.counts(each.origin, name, place.session, locked):
                        continue
                    if isinstance(each, Message):
                        arrived.append(each)
                    else:
                        place = place.marked(each)
                places[part] = place
            self._apply(there, locked.epoch, arrived, fetched)
            kafka_inbox.write(target, there, name, {part: places[part] for part in current})
            moved = kafka_inbox.advanced(locked, places)
            if moved != locked:
                inboxes.write(target, there, name, moved)
        return {part: places[part].next_offset for part in batches if part in places}

    def _fetch(self, messages: Iterable[Message | Watermark | None]) -> dict[Name, Row]:
        """From the source, before the target is locked: rows that a message names without bringing them.

        So it is with a row too large for the broker, or one of columns that the plan maps no longer.
        """
        view = self._channel.view
        wanted = {
            (message.table, message.key): Work(message.table, message.key, message.seq, message.entries)
            for message in messages
            if isinstance(message, Message)
            and message.kind in _WITH_ROW
            and self._row(message) is None
            and view.fault(message.table) is None
        }
        if not wanted:
            return {}
        with self._channel.source.reading() as here:
            if view.outdated(self._channel.source.shapes(here, list(view.source)), of_source=True):
                raise SchemaError(f"{view.stream!r}: a table has changed, and is looked at again")
            return self._channel.hydrate(here, view, list(wanted.values()))

    def _apply(
        self, session: Session, epoch: int, arrived: Sequence[Message], fetched: Mapping[Name, Row]
    ) -> None:
        channel = self._channel
        if not arrived:
            return
        names = {(message.table, message.key) for message in arrived}
        parked = parking.among(channel.target, session, channel.stream.name, names)
        truncated = self._truncated(session, epoch)
        newest = newest_of(arrived, {(each.table, each.key): each.seq for each in parked}, truncated)
        works = [Work(message.table, message.key, message.seq, message.entries) for message in newest]
        rows = {
            (message.table, message.key): row
            for message in newest
            if (row := self._row(message) or fetched.get((message.table, message.key))) is not None
        }
        fitting, stuck = channel.view.fitting(works)
        failures = channel.applier.apply(session, epoch, fitting, rows)
        channel.park(session, works, [*stuck, *failures], parked)

    def _truncated(self, session: Session, epoch: int) -> dict[str, int]:
        """For each table that was truncated in this epoch, with which sequence."""
        rows = session.execute(
            f"SELECT tbl, seq FROM {self._channel.target.name('version')} "
            f"WHERE stream = ? AND key = '{WHOLE_TABLE}' AND epoch = ?",
            self._channel.stream.name,
            epoch,
        )
        return dict(rows)

    def _row(self, message: Message) -> Row | None:
        """The row in the carrier's order; None when the message has none that fits the plan as it is now."""
        carrier = self._channel.view.carriers.get(message.table)
        if message.row is None or carrier is None or message.source != self._channel.source.engine:
            return None
        columns = [column.target for column in carrier.flow.columns]
        return tuple(message.row[column] for column in columns) if set(message.row) == set(columns) else None


def newest_of(
    arrived: Iterable[Message], parked: Mapping[Name, int], truncated: Mapping[str, int]
) -> list[Message]:
    """Each key's newest message, which stands for the entries of those before it.

    Left out is what is older than its table's truncation, which a sweep has answered for good, and what is
    older than the key's parked change. ``parked`` and ``truncated`` give sequences.
    """
    arrived = list(arrived)
    swept = dict(truncated)
    for message in arrived:
        if message.kind is Kind.TRUNCATE:
            swept[message.table] = max(message.seq, swept.get(message.table, 0))
    found: dict[Name, Message] = {}
    for message in arrived:
        name = (message.table, message.key)
        aside = parked.get(name, -1)
        late = message.kind is not Kind.TRUNCATE and message.seq < swept.get(message.table, 0)
        if late or message.seq < aside:
            continue
        known = found.get(name)
        if known is None:
            # What is parked already, or came twice, is no other entry of the log.
            found[name] = replace(message, entries=0) if message.seq == aside else message
        elif message.seq > known.seq:
            found[name] = replace(message, entries=known.entries + message.entries)
        elif message.seq == known.seq:
            found[name] = replace(message, entries=known.entries)
    return list(found.values())
