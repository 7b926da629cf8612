"""An open transaction on PostgreSQL."""

from collections.abc import Sequence
from typing import Any, cast

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
        return self.native(sql, *(array(column) for column in zip(*rows, strict=True)))

    def describe(self, sql: str) -> list[int]:
        """The type oids of a query's columns."""
        self._cursor.execute(sql.encode())
        return [column.type_code for column in self._cursor.description or ()]


_BETWEEN, _NULL = "\x1f", "\x1e"


def array(column: Sequence[Any]) -> str | list[Any]:
    """An array's literal, quoted in one go; the driver, which quotes value by value, gets a column that does
    not allow for it: other values than text, or text with the characters that stand in for what is between.
    """
    nulls = column.count(None)
    try:
        text = _BETWEEN.join([_NULL if value is None else value for value in column] if nulls else column)
    except TypeError:
        return list(column)
    if text.count(_BETWEEN) != len(column) - 1 or text.count(_NULL) != nulls:
        return list(column)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace(_BETWEEN, '","')
    return f'{{"{quoted}"}}'.replace(f'"{_NULL}"', "NULL")


def native(session: Session) -> PostgreSQLSession:
    """The session as this engine's own, which is the only kind that its adapter is given."""
    return cast("PostgreSQLSession", session)
