"""What a phase keeps in both databases while it is under way: capture, bookkeeping, what is expected."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from dual_write import drift_watch
from dual_write.adapter import Adapter
from dual_write.channel import Channel
from dual_write.channels import channels
from dual_write.databases import adapter
from dual_write.drift import Drift
from dual_write.errors import SchemaError
from dual_write.mapping import TableMapping
from dual_write.patience import patiently
from flags.side import Side

_log = logging.getLogger(__name__)
_DDL_LOCK_SECONDS = 2.0


class Installation:
    """Both databases of one phase, and what is installed there. Every method is idempotent."""

    def __init__(
        self,
        phase: str,
        monolith_url: str,
        service_url: str,
        mappings: Sequence[TableMapping],
        *,
        outbox: bool = False,
        faults: Mapping[str, SchemaError] | None = None,
    ) -> None:
        """``outbox``: the monolith's application logs its changes itself. ``faults``: tables of the monolith
        that do not fit the plan now, and why; the others flow.
        """
        self.faults = faults or {}
        self.phase = phase
        self.mappings = tuple(mappings)
        self._adapters: Mapping[Side, Adapter] = {
            Side.MONOLITH: adapter(monolith_url),
            Side.SERVICE: adapter(service_url),
        }
        self._channels = channels(phase, self.mappings, self._adapters, outbox=outbox, faults=self.faults)

    def install(self) -> None:
        """Install capture on both sides' tables (follow tables: the monolith's only) and the bookkeeping."""
        for database in self._adapters.values():
            patiently(database.create_bookkeeping)
        for channel in self._channels:
            for database in (channel.source, channel.target):
                with database.writing() as session:
                    session.execute(
                        f"INSERT INTO {database.name('stream')} (stream) VALUES (?) ON CONFLICT DO NOTHING",
                        channel.stream.name,
                    )
            patiently(partial(channel.source.capture, channel.stream.captured(), _DDL_LOCK_SECONDS))
        self.accept()

    def renew(self) -> None:
        """Capture anew what has lost its capture, and accept the tables as they are; the log says what."""
        for database in self._adapters.values():
            patiently(database.create_bookkeeping)
        for text in dict.fromkeys(
            found.text for channel in self._channels for found in drift_watch.drift(channel)
        ):
            _log.warning("phase %s: taken as it is now: %s", self.phase, text)
        for channel in self._channels:
            lost = channel.source.uncaptured(channel.stream.captured())
            tables = [table for table in channel.stream.captured() if table.table in lost]
            if tables:
                patiently(partial(channel.source.capture, tables, _DDL_LOCK_SECONDS))
        self.accept()

    def accept(self) -> None:
        """Take both sides' tables as they are now for what they are to be: `drift` is told from here on."""
        for channel in self._channels:
            drift_watch.accept(channel)

    def drift(self, to: Side) -> list[Drift]:
        """What has changed since of the tables that flow towards ``to``."""
        return [found for channel in self._towards(to) for found in drift_watch.drift(channel)]

    def uninstall(self) -> None:
        """Remove every trigger and row of this phase, and the bookkeeping tables when no phase uses them."""
        self._release(self._channels)
        for database in self._adapters.values():
            if has_bookkeeping(database):
                patiently(partial(self._forget, database))

    def retire(self) -> None:
        """Take capture off the service's tables: nothing will flow back. The monolith's guard stays."""
        self._release(self._towards(Side.MONOLITH))

    def _release(self, released: Sequence[Channel]) -> None:
        for channel in released:
            if has_bookkeeping(channel.source):
                patiently(partial(channel.source.release, channel.stream.captured(), _DDL_LOCK_SECONDS))
            drift_watch.forget(channel)

    def _forget(self, adapter: Adapter) -> None:
        with adapter.writing() as session:
            for channel in self._channels:
                adapter.forget(session, channel.stream.name)
                for table in ("stream", "inbox", "version", "parked", "shape", "backfill", "kafka"):
                    session.execute(
                        f"DELETE FROM {adapter.name(table)} WHERE stream = ?", channel.stream.name
                    )
            if not session.execute(f"SELECT 1 FROM {adapter.name('stream')} LIMIT 1"):
                adapter.drop_bookkeeping(session)

    def dispose(self) -> None:
        """Close connections."""
        for database in self._adapters.values():
            database.dispose()

    def _towards(self, to: Side) -> list[Channel]:
        return [channel for channel in self._channels if channel.stream.to is to]


def has_bookkeeping(adapter: Adapter) -> bool:
    with adapter.reading() as session:
        return adapter.has_bookkeeping(session)
