"""The accounts: what was captured, applied, is pending or parked, and how long the oldest change waits."""

from collections.abc import Sequence
from dataclasses import dataclass

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.channel import Channel
from dual_write.flows import table_of
from dual_write.parking import Parked


@dataclass(frozen=True, slots=True)
class Lag:
    """How far ``to`` is behind its source: waiting changes, age in seconds of the oldest, horizon age."""

    changes: int
    seconds: float
    horizon_seconds: float


@dataclass(frozen=True, slots=True)
class Accounts:
    """Invariant I10 for one direction, in change-log entries: captured = applied + pending + parked."""

    captured: int
    applied: int
    pending: int
    parked: int


def lag(channels: Sequence[Channel]) -> Lag:
    """Of the open directions; a closed one waits for nothing."""
    changes, seconds, horizon = 0, 0.0, 0.0
    for channel in channels:
        with channel.target.reading() as session:
            inbox = inboxes.read(channel.target, session, channel.stream.name)
        if inbox.epoch and not inbox.open:
            continue
        with channel.source.reading() as session:
            waiting, age = channel.source.backlog(session, channel.stream.name, inbox.position)
            horizon = max(horizon, channel.source.horizon_seconds(session))
        changes, seconds = changes + waiting, max(seconds, age)
    return Lag(changes, seconds, horizon)


def accounts(channels: Sequence[Channel]) -> Accounts:
    """Each target is read before its source: what is captured in between is pending."""
    captured = applied = pending = parked = 0
    for channel in channels:
        name = channel.stream.name
        with channel.target.reading(snapshot=True) as session:
            inbox = inboxes.read(channel.target, session, name)
            aside = _entries(parking.read(channel.target, session, name))
        with channel.source.reading(snapshot=True) as session:
            [(logged,)] = session.execute(
                "SELECT (SELECT coalesce(sum(purged), 0) "
                f"FROM {channel.source.name('stream')} WHERE stream = ?) + "
                f"(SELECT count(*) FROM {channel.source.name('change')} WHERE stream = ?)",
                name,
                name,
            )
            waiting, _ = channel.source.backlog(session, name, inbox.position)
        captured += int(logged)
        applied += inbox.passed - aside
        pending += waiting
        parked += aside
    return Accounts(captured, applied, pending, parked)


def _entries(parked: Sequence[Parked]) -> int:
    """The log's entries behind parked keys, each once: a table that feeds several targets has one log."""
    entries: dict[tuple[str, str], int] = {}
    for each in parked:
        row = table_of(each.table), each.key
        entries[row] = max(entries.get(row, 0), each.entries)
    return sum(entries.values())
