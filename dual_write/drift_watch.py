"""What a channel's tables are expected to be, and what has become of them since."""

from dual_write import drift_log
from dual_write.channel import Channel
from dual_write.drift import Drift, lost_capture
from dual_write.errors import MappingError
from dual_write.view import look


def accept(channel: Channel) -> None:
    """Take the tables' shapes as they are now for right, of those that can be carried so."""
    try:
        view = look(channel.stream, channel.source, channel.target, channel.known_faults)
    except MappingError:
        return  # it cannot run in this direction: the gate before `live` says so
    with channel.target.writing() as session:
        for lane, shapes in view.shapes().items():
            drift_log.write(channel.target, session, channel.stream.name, lane, shapes)
    channel.refresh()


def drift(channel: Channel) -> list[Drift]:
    """What has changed of the channel's tables since capture began; nothing where it did not."""
    if not _remembers(channel):
        return []
    channel.refresh()
    lost = channel.source.uncaptured(channel.stream.captured())
    return [*channel.view.drifts, *(lost_capture(table) for table in lost)]


def forget(channel: Channel) -> None:
    """Nothing is expected of the tables any more."""
    if _remembers(channel):
        with channel.target.writing() as session:
            drift_log.forget(channel.target, session, channel.stream.name)


def _remembers(channel: Channel) -> bool:
    with channel.target.reading() as session:
        return channel.target.has_bookkeeping(session) and bool(
            drift_log.read(channel.target, session, channel.stream.name)
        )
