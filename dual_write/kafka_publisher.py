"""The publisher: reads a stream's change log, and sends each changed row as it is now.

What it has sent it keeps in memory alone. A new publisher starts where the target's inbox is and sends the
rest again, which harms nobody: versions decide, and the broker lets one publisher of a stream send at a time.
"""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dual_write.adapter import Position
from dual_write.apply import WHOLE_TABLE, Work
from dual_write.batch import Batch
from dual_write.channel import Channel
from dual_write.errors import DataError
from dual_write.inbox import Inbox
from dual_write.kafka_broker import Topic
from dual_write.kafka_clients import Producer
from dual_write.kafka_message import (
    WATERMARK_KEY,
    Kind,
    Message,
    Origin,
    Watermark,
    encode,
    encode_watermark,
    message_key,
)
from dual_write.kafka_settings import Brokers
from dual_write.rows import AMBIGUOUS

_log = logging.getLogger(__name__)

_AHEAD = 50_000
"""Entries that may be sent and not yet applied: so many are sent again when a publisher is replaced."""
_OVERHEAD_BYTES = 512
"""What a message costs the broker besides its key and value, at most."""


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Sent so far, for this origin."""

    origin: Origin
    position: Position
    passed: int

    def follows(self, origin: Origin, inbox: Inbox) -> bool:
        """Whether it goes on from where the inbox is: not after a drain, nor when others were quicker."""
        at = inbox.position
        return (
            self.origin == origin
            and self.position.floor == at.floor
            and (self.position.xid, self.position.id) >= (at.xid, at.id)
        )


class Publisher:
    """Sends one stream's changes to its topic."""

    def __init__(self, channel: Channel, brokers: Brokers, topic: Topic) -> None:
        self._channel = channel
        self._topic = topic
        self._producer = Producer(brokers, topic, topic.name)
        self._cursor: _Cursor | None = None

    def publish(self, inbox: Inbox, session: str, limit: int) -> int | None:
        """Send up to ``limit`` entries; their number, or None when another publisher has taken over.

        Raises BrokerError; the publisher is then of no more use.
        """
        channel, name = self._channel, self._channel.stream.name
        cursor = self._current(Origin(name, session, inbox.epoch), inbox)
        if cursor.passed - inbox.passed > _AHEAD:
            return 0
        batch = channel.read(limit, behind=replace(inbox, position=cursor.position))
        if batch is None:
            channel.refresh()
            return 0
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        moved = replace(
            cursor,
            position=batch.position,
            passed=cursor.passed + batch.entries,
        )
        mark = Watermark(
            moved.origin, moved.position.floor, moved.position.xid, moved.position.id, moved.passed, now
        )
        # What does not fit now is named without its row: whoever consumes it parks it, or reads it then.
        works = [*batch.works, *(failure.work for failure in batch.stuck)]
        messages = [self._sized(self._message(cursor.origin, work, batch, now)) for work in works]
        if not self._producer.send(messages, (WATERMARK_KEY, encode_watermark(mark))):
            return None
        self._cursor = moved
        return batch.entries

    def close(self) -> None:
        self._producer.close()

    def _current(self, origin: Origin, inbox: Inbox) -> _Cursor:
        if self._cursor is None or not self._cursor.follows(origin, inbox):
            self._cursor = _Cursor(origin, inbox.position, inbox.passed)
        return self._cursor

    def _message(self, origin: Origin, work: Work, batch: Batch, now: str) -> Message:
        raw = batch.rows.get((work.table, work.key))
        kind, row = Kind.DELETE, None
        if work.key == WHOLE_TABLE:
            kind = Kind.TRUNCATE
        elif raw is AMBIGUOUS or batch.view.fault(work.table) is not None:
            kind = Kind.OMITTED
        elif raw is not None:
            columns = (column.target for column in batch.view.carriers[work.table].flow.columns)
            kind, row = Kind.UPSERT, dict(zip(columns, raw, strict=True))
        engine = self._channel.source.engine
        return Message(origin, kind, work.table, work.key, work.seq, work.entries, row, engine, now)

    def _sized(self, message: Message) -> tuple[bytes, bytes]:
        """Key and value; of a row that the broker would refuse only that it changed."""
        key, value = message_key(self._row_of(message.table), message.key), encode(message)
        if len(key) + len(value) + _OVERHEAD_BYTES <= self._topic.limit:
            return key, value
        _log.warning(
            "%s: a row of table %r needs %d bytes, and topic %r takes %d: it is carried past Kafka; "
            "raise max.message.bytes if others read the topic",
            message.origin.stream,
            message.table,
            len(value),
            self._topic.name,
            self._topic.limit,
        )
        value = encode(replace(message, kind=Kind.OMITTED, row=None))
        if len(key) + len(value) + _OVERHEAD_BYTES > self._topic.limit:
            raise DataError(
                f"a key of table {message.table!r} alone is larger than topic {self._topic.name!r} takes; "
                "raise the topic's max.message.bytes"
            )
        return key, value

    def _row_of(self, lane: str) -> str:
        """What the lanes of one target's rows have in common, so that these go by one partition."""
        made = self._channel.view.carriers.get(lane)
        return lane if made is None else made.flow.name
