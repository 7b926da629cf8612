"""The accounts: what was captured, applied, is pending or parked, and how long the oldest change waits."""

from collections.abc import Sequence
from dataclasses import dataclass

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.channel import Channel


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
            aside = sum(entry.entries for entry in parking.read(channel.target, session, name))
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
