"""PostgreSQL's change log and versions.

Entries are read in the order of (transaction id, number) up to the horizon: the oldest transaction that is
still open. What a cursor has passed, nothing can commit in front of.
"""

from collections.abc import Sequence
from itertools import starmap

from dual_write.adapter import KEPT, Adapter, Change, Position
from dual_write.postgresql_session import array
from dual_write.rows import Session

# Statistics of a log are never of today: the planner would sort a long backlog for each batch.
_BY_INDEX = "SET LOCAL enable_sort = off"
_BEHIND = "stream = ? AND (xid, id) > (?::text::xid8, ?) AND id > ?"


class PostgreSQLLog(Adapter):
    """The part of the adapter that reads and keeps the log."""

    def changes(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        session.execute(_BY_INDEX)
        return self._read(
            session,
            f"WHERE {_BEHIND} AND xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY c.xid, c.id LIMIT ?",
            *_bound(stream, position),
            limit,
        )

    def remaining(self, session: Session, stream: str, position: Position, limit: int) -> list[Change]:
        return self._read(session, f"WHERE {_BEHIND} ORDER BY id LIMIT ?", *_bound(stream, position), limit)

    def _read(self, session: Session, condition: str, *values: object) -> list[Change]:
        rows = session.execute(
            # By the table's own column: a bare xid would name the text in the result, which has no index.
            f"SELECT c.xid::text::bigint, c.id, tbl, key FROM strangler.change AS c {condition}",
            *values,
        )
        return list(starmap(Change, rows))

    def backlog(self, session: Session, stream: str, position: Position) -> tuple[int, float]:
        [(count, age)] = session.execute(
            "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 "
            f"FROM strangler.change WHERE {_BEHIND}",
            *_bound(stream, position),
        )
        return count, max(0.0, age)

    def horizon_seconds(self, session: Session) -> float:
        [(age,)] = session.execute(
            "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8 "
            "FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return max(0.0, float(age))

    def latest(self, session: Session, stream: str, table: str, limit: int) -> list[str]:
        session.execute(_BY_INDEX)
        rows = session.execute(
            "SELECT key FROM strangler.change WHERE stream = ? AND tbl = ? AND key IS NOT NULL "
            "ORDER BY xid DESC, id DESC LIMIT ?",
            stream,
            table,
            limit,
        )
        return list(dict.fromkeys(key for (key,) in rows))

    def newest(self, session: Session) -> int:
        [(number,)] = session.execute(
            "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('strangler.change', 'id')), 0)"
        )
        return int(number)

    def writing_now(self, session: Session) -> frozenset[str]:
        # Not the snapshot's xmax: it does not tell of those that began after the last one to have ended.
        rows = session.execute(
            "SELECT DISTINCT transactionid::text FROM pg_locks "
            "WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted"
        )
        return frozenset(number for (number,) in rows)

    def purge(
        self, session: Session, stream: str, position: Position, limit: int, since: int = 0
    ) -> tuple[int, int]:
        session.execute(_BY_INDEX)
        [(count, newest)] = session.execute(
            # ``since``: until the next vacuum the index still has what was deleted before.
            "WITH gone AS (DELETE FROM strangler.change WHERE ctid = ANY(ARRAY("
            "SELECT ctid FROM strangler.change WHERE stream = ? "
            "AND ((xid, id) <= (?::text::xid8, ?) OR id <= ?) AND xid >= ?::text::xid8 "
            "AND (xid, id) <= (SELECT xid, id FROM strangler.change WHERE stream = ? "
            f"ORDER BY xid DESC, id DESC OFFSET {KEPT} LIMIT 1) ORDER BY xid, id LIMIT ?)) RETURNING xid) "
            "SELECT count(*), coalesce(max(xid::text::bigint), 0) FROM gone",
            *_bound(stream, position),
            str(since),
            stream,
            limit,
        )
        # Behind the position a drain may have left older transactions open, which go on writing.
        return int(count), max(since, min(int(newest), position.xid))

    def logged(
        self, session: Session, stream: str, position: Position, table: str, keys: Sequence[str] | None
    ) -> bool:
        among = " AND (key IS NULL OR key = ANY(?::text[]))" if keys is not None else ""
        return bool(
            session.execute(
                f"SELECT 1 FROM strangler.change WHERE {_BEHIND} AND tbl = ?{among} LIMIT 1",
                *_bound(stream, position),
                table,
                *([] if keys is None else [list(keys)]),
            )
        )

    def forget(self, session: Session, stream: str) -> None:
        session.execute("DELETE FROM strangler.change WHERE stream = ?", stream)

    def claim(
        self, session: Session, stream: str, table: str, epoch: int, entries: Sequence[tuple[str, int, bool]]
    ) -> set[str]:
        keys, sequences, deleted = zip(*entries, strict=True)
        rows = session.execute(
            "INSERT INTO strangler.version AS v SELECT ?::text, ?::text, n.key, ?::bigint, n.seq, n.deleted "
            "FROM unnest(?::text[], ?::bigint[], ?::boolean[]) AS n(key, seq, deleted) ORDER BY n.key "
            "ON CONFLICT (stream, tbl, key) DO UPDATE "
            "SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq, deleted = EXCLUDED.deleted "
            "WHERE (v.epoch, v.seq) < (EXCLUDED.epoch, EXCLUDED.seq) RETURNING v.key",
            stream,
            table,
            epoch,
            array(keys),
            array([str(sequence) for sequence in sequences]),
            array(["t" if gone else "f" for gone in deleted]),
        )
        return {key for (key,) in rows}

    def versioned(self, session: Session, stream: str, table: str, keys: Sequence[str]) -> set[str]:
        rows = session.execute(
            "SELECT key FROM strangler.version WHERE stream = ? AND tbl = ? AND key = ANY(?::text[])",
            stream,
            table,
            list(keys),
        )
        return {key for (key,) in rows}


def _bound(stream: str, position: Position) -> tuple[object, ...]:
    return stream, str(position.xid), position.id, position.floor
