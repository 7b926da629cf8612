"""Bulk copying between two PostgreSQL databases: COPY out, piped into COPY in, merged by one statement."""

from collections.abc import Sequence

from dual_write.postgresql_rows import PostgreSQLReader, PostgreSQLWriter, literal
from dual_write.postgresql_session import native
from dual_write.rows import Copier, Fetched, Session

_CHUNK = 50_000
_BLOCK = 1 << 16


class PostgreSQLCopier(Copier):
    """``stream`` and ``lanes`` name the versions that win over what is copied."""

    def __init__(
        self, stream: str, lanes: Sequence[str], reader: PostgreSQLReader, writer: PostgreSQLWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._versions = f"v.stream = {literal(stream)} AND v.tbl IN ({', '.join(map(literal, lanes))})"

    def fetch(self, here: Session, there: Session, after: str | None) -> Fetched:
        upper = self._reader.upper(here, after, _CHUNK)
        names = ", ".join(self._writer.names)
        there.execute(
            f"CREATE TEMP TABLE strangler_chunk ON COMMIT DROP AS "
            f"SELECT NULL::text AS strangler_key, {names} FROM {self._writer.table} LIMIT 0"
        )
        rows = _pipe(
            here,
            f"COPY ({self._reader.copy_query(after, upper)}) TO STDOUT",
            there,
            "COPY pg_temp.strangler_chunk FROM STDIN",
        )
        return Fetched(rows, upper)

    def merge(self, there: Session) -> None:
        names = ", ".join(self._writer.names)
        versions = f"SELECT 1 FROM strangler.version AS v WHERE {self._versions}"
        unversioned = (
            f" WHERE NOT EXISTS ({versions} AND v.key = c.strangler_key)"
            if there.execute(f"{versions} LIMIT 1")
            else ""
        )
        there.execute(
            f"INSERT INTO {self._writer.table} ({names}) OVERRIDING SYSTEM VALUE "
            f"SELECT {names} FROM pg_temp.strangler_chunk AS c{unversioned} {self._writer.conflict}"
        )


def _pipe(here: Session, out: str, there: Session, into: str) -> int:
    """Feed what one statement copies out to another that copies in; the number of rows."""
    source, target = native(here).connection.cursor(), native(there).connection.cursor()
    rows, block = 0, bytearray()
    with source.copy(out.encode()) as reading, target.copy(into.encode()) as writing:
        for data in reading:
            block += data
            rows += 1
            if len(block) > _BLOCK:
                writing.write(bytes(block))
                block.clear()
        writing.write(bytes(block))
    return rows
