"""How far each partition of a stream's topic was consumed: rows in the target, next to the inbox.

They change in the transaction that applies the messages, with the inbox locked. So an offset is never ahead
of the rows, and of two consumers that hold the same messages the second finds its offset passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dual_write.adapter import Adapter
from dual_write.inbox import Inbox
from dual_write.kafka_message import Origin, Watermark
from dual_write.rows import Session

DEFINITION = (
    "stream text, part integer, session text NOT NULL, topic text NOT NULL, next_offset bigint NOT NULL, "
    "epoch bigint NOT NULL, floor_id bigint NOT NULL, at_xid bigint NOT NULL, at_id bigint NOT NULL, "
    "passed bigint NOT NULL, PRIMARY KEY (stream, part)"
)
"""The bookkeeping table's columns, which are the same for every engine."""

_COLUMNS = "session, topic, next_offset, epoch, floor_id, at_xid, at_id, passed"


@dataclass(frozen=True, slots=True)
class Place:
    """One partition: the offset to go on from, and the last watermark seen there.

    ``session`` names the run of messages that count; a new one begins when messages were lost. ``topic`` is
    the broker's own id of the topic, which a topic of the same name made later does not have.
    """

    session: str
    topic: str
    next_offset: int
    epoch: int = 0
    floor: int = 0
    xid: int = 0
    id: int = 0
    passed: int = 0

    def marked(self, mark: Watermark) -> "Place":
        return replace(
            self, epoch=mark.origin.epoch, floor=mark.floor, xid=mark.xid, id=mark.id, passed=mark.passed
        )


Places = Mapping[int, Place]


def read(adapter: Adapter, session: Session, stream: str) -> dict[int, Place]:
    """By partition."""
    rows = session.execute(f"SELECT part, {_COLUMNS} FROM {adapter.name('kafka')} WHERE stream = ?", stream)
    return {part: Place(*columns) for part, *columns in rows}


def write(adapter: Adapter, session: Session, stream: str, places: Places) -> None:
    for part, at in places.items():
        session.execute(
            f"INSERT INTO {adapter.name('kafka')} (stream, part, {_COLUMNS}) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, part) DO UPDATE SET "
            "session = excluded.session, topic = excluded.topic, next_offset = excluded.next_offset, "
            "epoch = excluded.epoch, floor_id = excluded.floor_id, at_xid = excluded.at_xid, "
            "at_id = excluded.at_id, passed = excluded.passed",
            stream,
            part,
            at.session,
            at.topic,
            at.next_offset,
            at.epoch,
            at.floor,
            at.xid,
            at.id,
            at.passed,
        )


def clear(adapter: Adapter, session: Session, stream: str) -> None:
    session.execute(f"DELETE FROM {adapter.name('kafka')} WHERE stream = ?", stream)


def session_of(places: Places) -> str:
    """Empty before the first."""
    return next((place.session for place in places.values()), "")


def counts(origin: Origin, stream: str, session: str, inbox: Inbox) -> bool:
    """Whether a message is to be applied: it is of this session, and of the epoch that the inbox is in."""
    return origin == Origin(stream, session, inbox.epoch)


def advanced(inbox: Inbox, places: Places) -> Inbox:
    """The inbox moved to what every partition has passed; never backwards.

    A watermark from before the last drain says nothing: the drain applied entries that it did not count.
    """
    current = (inbox.epoch, inbox.position.floor)
    if any((place.epoch, place.floor) != current for place in places.values()):
        return inbox
    slowest = min(places.values(), key=lambda place: (place.xid, place.id))
    if (slowest.xid, slowest.id) <= (inbox.position.xid, inbox.position.id):
        return inbox
    position = replace(inbox.position, xid=slowest.xid, id=slowest.id)
    return replace(inbox, position=position, passed=slowest.passed)
