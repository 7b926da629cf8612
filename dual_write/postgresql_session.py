"""An open transaction on PostgreSQL."""

from collections.abc import Sequence
from typing import cast

import psycopg

from dual_write.rows import Row, Session


class PostgreSQLSession(Session):
    """A transaction on a connection in autocommit mode, begun and ended by ``PostgreSQL``."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self.connection = connection
        self._cursor = psycopg.RawCursor(connection)

    def execute(self, sql: str, *values: object) -> list[Row]:
        # The driver's own placeholders would make a mapping's % and the operators with ? special.
        if values:
            parts = sql.split("?")
            sql = parts[0] + "".join(f"${number}{part}" for number, part in enumerate(parts[1:], 1))
        return self.native(sql, *values)

    def native(self, sql: str, *values: object) -> list[Row]:
        """As ``execute``, with PostgreSQL's own ``$1``."""
        self._cursor.execute(sql.encode(), values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def arrays(self, sql: str, rows: Sequence[Row]) -> list[Row]:
        """As ``native`` with one array for each column of ``rows``."""
        return self.native(sql, *(list(column) for column in zip(*rows, strict=True)))

    def describe(self, sql: str) -> list[int]:
        """The type oids of a query's columns."""
        self._cursor.execute(sql.encode())
        return [column.type_code for column in self._cursor.description or ()]


def native(session: Session) -> PostgreSQLSession:
    """The session as this engine's own, which is the only kind that its adapter is given."""
    return cast("PostgreSQLSession", session)
