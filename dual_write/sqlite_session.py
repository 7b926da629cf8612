"""An open transaction on SQLite."""

import sqlite3

from dual_write.rows import Row, Session


class SQLiteSession(Session):
    """A transaction on a connection in the driver's autocommit mode, begun and ended by ``SQLite``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def execute(self, sql: str, *values: object) -> list[Row]:
        return self.connection.execute(sql, values).fetchall()
