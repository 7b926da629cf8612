"""The audit log: who changed what, and when; each entry is bound by a hash to all that came before it.

Somebody who changes, removes or adds an entry in the middle breaks the chain. Cutting off its end does not:
against that, note the head elsewhere and verify against it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from migration.schema.tables import audit

ORIGIN = "0" * 64
"""What the first entry is chained to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. ``at`` is in seconds since 1970; ``before`` and ``after`` hold the fields that differ."""

    id: int
    at: float
    who: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``entries`` were followed up to ``head``; ``broken`` says where and how the chain is broken."""

    entries: int
    head: str
    broken: str | None


def append(
    connection: Connection,
    at: float,
    who: str,
    what: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Add an entry. Changes come one after the other (`Control.change`), and so do the links."""
    last = connection.scalar(select(audit.c.hash).order_by(audit.c.id.desc()).limit(1))
    values = {"at": at, "who": who, "what": what, "before": dict(before), "after": dict(after)}
    connection.execute(insert(audit).values(**values, hash=link(last or ORIGIN, values)))


def latest(connection: Connection, limit: int) -> list[Entry]:
    """The newest entries, newest first."""
    rows = connection.execute(select(audit).order_by(audit.c.id.desc()).limit(limit))
    return [_entry(row) for row in rows]


def verify(connection: Connection, head: str | None = None) -> Verdict:
    """Follow the whole chain. With a ``head`` noted earlier, that link must still be there."""
    last, count, seen = ORIGIN, 0, head in {None, ORIGIN}
    for row in connection.execute(select(audit).order_by(audit.c.id)).yield_per(1000):
        entry = _entry(row)
        values = {key: getattr(entry, key) for key in ("at", "who", "what", "before", "after")}
        if link(last, values) != entry.hash:
            return Verdict(count, last, f"entry {entry.id} is not what followed the {count} before it")
        last, count = entry.hash, count + 1
        seen = seen or last == head
    broken = None if seen else "the head that was noted is not in the chain: entries were cut off or replaced"
    return Verdict(count, last, broken)


def link(last: str, values: Mapping[str, Any]) -> str:
    """The hash that binds an entry to the one before it: SHA-256 over both, in one form of JSON."""
    text = json.dumps([last, values], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.id, row.at, row.who, row.what, row.before, row.after, row.hash)
