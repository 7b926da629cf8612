"""The tables that a phase keeps in an SQLite database while it is under way."""

from dual_write import kafka_inbox

BOOKKEEPING = {
    # Purging keeps the newest entries, so that ids are never given out twice without AUTOINCREMENT, whose
    # sqlite_sequence table could not be removed again.
    "change": "id INTEGER PRIMARY KEY, stream TEXT NOT NULL, tbl TEXT NOT NULL, key TEXT, "
    "at REAL NOT NULL DEFAULT (julianday('now'))",
    "session": "origin TEXT NOT NULL",
    "outbox": "stream TEXT NOT NULL, tbl TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (stream, tbl)",
    "stream": "stream TEXT PRIMARY KEY, purged INTEGER NOT NULL DEFAULT 0",
    "inbox": "stream TEXT PRIMARY KEY, open INTEGER NOT NULL, epoch INTEGER NOT NULL, "
    "at_xid INTEGER NOT NULL, at_id INTEGER NOT NULL, floor_id INTEGER NOT NULL, passed INTEGER NOT NULL",
    "version": "stream TEXT NOT NULL, tbl TEXT NOT NULL, key TEXT NOT NULL, epoch INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, deleted INTEGER NOT NULL, PRIMARY KEY (stream, tbl, key)",
    "parked": "stream TEXT NOT NULL, tbl TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, "
    "entries INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL, error TEXT NOT NULL, "
    "PRIMARY KEY (stream, tbl, key)",
    "shape": "stream TEXT NOT NULL, tbl TEXT NOT NULL, shapes TEXT NOT NULL, PRIMARY KEY (stream, tbl)",
    "kafka": kafka_inbox.DEFINITION,
    "backfill": "stream TEXT NOT NULL, tbl TEXT NOT NULL, after_key TEXT, copied INTEGER NOT NULL, "
    "stale INTEGER NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (stream, tbl)",
}
INDEXES = ("CREATE INDEX IF NOT EXISTS strangler_change_stream ON strangler_change (stream, id)",)
