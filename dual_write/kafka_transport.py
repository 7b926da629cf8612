"""Kafka as the transport: what ``Replication.step`` does in one go, done by a publisher and consumers.

The fenced switch goes on applying directly. Versions make both ways commute, so neither waits for the other.
"""

import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress

from dual_write import inbox as inboxes
from dual_write import kafka_inbox, parking
from dual_write.channel import Channel
from dual_write.errors import BrokerError, FencedError, MessagesLost, SchemaError
from dual_write.inbox import Inbox
from dual_write.kafka_broker import Topic, topic
from dual_write.kafka_clients import Consumer
from dual_write.kafka_consumer import Batch, Inlet
from dual_write.kafka_inbox import Place
from dual_write.kafka_publisher import Publisher
from dual_write.kafka_settings import Brokers
from dual_write.replication import Replication
from dual_write.stream import Stream
from flags.side import Side

_log = logging.getLogger(__name__)

_PUBLISHING_PARTITION = 0
"""Who consumes it also publishes: so the group decides, and decides anew when that relay is gone."""
_POLL_SECONDS = 0.02


class KafkaTransport:
    """Carries one phase's changes through Kafka. Not safe between threads. Close it to leave the group."""

    def __init__(self, replication: Replication, brokers: Brokers) -> None:
        self._links = {
            side: [Link(channel, brokers) for channel in replication.channels(side)] for side in Side
        }

    def step(self, to: Side, limit: int = 1000) -> int:
        """Publish and apply one batch of each stream towards ``to``; how much there was to do.

        Raises as ``Replication.step``, and BrokerError.
        """
        done, closed = 0, 0
        links = self._links[to]
        for link in links:
            try:
                done += link.step(limit)
            except FencedError:
                closed += 1
                if closed == len(links):
                    raise
        return done

    def close(self) -> None:
        for links in self._links.values():
            for link in links:
                link.close()


class Link:
    """One stream's way through its topic."""

    def __init__(self, channel: Channel, brokers: Brokers) -> None:
        self._channel = channel
        self._brokers = brokers
        self._inlet = Inlet(channel)
        self._places: Mapping[int, Place] = {}
        self._topic: Topic | None = None
        self._consumer: Consumer | None = None
        self._publisher: Publisher | None = None
        self._lost = False

    def step(self, limit: int) -> int:
        """Raises FencedError when the stream is closed, BrokerError and SchemaError."""
        try:
            inbox = self._look()
            consumer, at = self._connected()
            done = self._publish(inbox, at, limit) if _PUBLISHING_PARTITION in consumer.next else 0
            return done + self._consume(consumer, limit)
        except MessagesLost as error:
            _log.warning("%s: %s; what was not applied is sent anew", self._channel.stream.name, error)
            self.close()
            self._lost = True
            return 0
        except (BrokerError, FencedError):
            self.close()
            raise
        except SchemaError:
            self._channel.refresh()
            raise

    def close(self) -> None:
        """Leave the group; the next step joins it again."""
        for client in (self._publisher, self._consumer):
            if client is not None:
                with suppress(Exception):  # a client whose broker is gone cannot say goodbye
                    client.close()
        self._topic = self._consumer = self._publisher = None

    def _look(self) -> Inbox:
        target, name = self._channel.target, self._channel.stream.name
        with target.reading() as there:
            inbox = inboxes.read(target, there, name)
            inboxes.require_open(inbox, name)
            if self._consumer is not None:
                self._places = kafka_inbox.read(target, there, name)
        return inbox

    def _connected(self) -> tuple[Consumer, Topic]:
        if self._topic is not None and not self._fits(self._topic):
            self.close()  # another relay has found the topic changed, and may be right
        if self._consumer is not None and self._consumer.stalled:
            _log.warning("%s: the group gives this relay no answer; it joins anew", self._channel.stream.name)
            self.close()
        if self._consumer is None or self._topic is None:
            self._channel.target.create_bookkeeping()  # it may be older than this transport
            self._topic = topic(self._brokers, topic_name(self._brokers, self._channel.stream))
            self._consumer = Consumer(self._brokers, self._topic, self._topic.name, self._place)
            self._look()
            if self._lost or not self._fits(self._topic):
                self._renew(self._consumer, self._topic)
                self._lost = False
        return self._consumer, self._topic

    def _place(self, partition: int) -> int | None:
        place = self._places.get(partition)
        return place.next_offset if place is not None else None

    def _fits(self, at: Topic) -> bool:
        """Whether the offsets in the target are those of this topic."""
        return set(self._places) == set(range(at.partitions)) and all(
            place.topic == at.id for place in self._places.values()
        )

    def _renew(self, consumer: Consumer, at: Topic) -> None:
        """Begin a session at the topic's end, unless another relay has begun one meanwhile.

        What was sent before and not applied counts no more: the publisher goes back to where the inbox is.
        """
        target, name = self._channel.target, self._channel.stream.name
        ends, session = consumer.ends(), uuid.uuid4().hex
        with target.writing() as there:
            inboxes.require_open(inboxes.read(target, there, name, lock=True), name)
            if kafka_inbox.read(target, there, name) == self._places:
                kafka_inbox.clear(target, there, name)
                begun = {part: Place(session, at.id, ends[part]) for part in range(at.partitions)}
                kafka_inbox.write(target, there, name, begun)
        self._look()

    def _publish(self, inbox: Inbox, at: Topic, limit: int) -> int:
        if self._publisher is None:
            self._publisher = Publisher(self._channel, self._brokers, at)
        sent = self._publisher.publish(inbox, kafka_inbox.session_of(self._places), limit)
        if sent is None:
            self._publisher.close()
            self._publisher = None
        self._retry()
        return sent or 0

    def _retry(self) -> None:
        """Try parked keys again, directly and all at once: two of them may only fit together."""
        channel = self._channel
        target, name, view = channel.target, channel.stream.name, channel.view
        with target.reading() as there:
            due = parking.due(target, there, name, time.time(), 1, at_once=(), never=view.faults)
            # The publisher looks at the source alone, and who consumes at messages that arrive.
            changed = bool(view.faults) and view.outdated(
                target.shapes(there, list(view.target)), of_source=False
            )
        if changed:
            channel.refresh()
        elif due:
            channel.step(0, retry_all=True)

    def _consume(self, consumer: Consumer, limit: int) -> int:
        arrived = consumer.poll(_POLL_SECONDS, limit)
        batches = {
            part: Batch(consumer.next[part], records)
            for part, records in arrived.items()
            if part in consumer.next
        }
        if not batches:
            return 0
        try:
            offsets = self._inlet.take(batches)
        except BaseException:
            for part, batch in batches.items():
                consumer.go_to(part, batch.start)
            raise
        for part, offset in offsets.items():
            if offset == batches[part].end:
                consumer.passed(part, offset)
            else:
                consumer.go_to(part, offset)
        return sum(len(batch.records) for batch in batches.values())


def topic_name(brokers: Brokers, stream: Stream) -> str:
    """The stream's topic, which is also the name of its group and of its publisher."""
    phase = stream.name.partition(">")[0]
    return f"{brokers.topic_prefix}.{phase}.to-{stream.to}{'.follow' if stream.follow else ''}"
