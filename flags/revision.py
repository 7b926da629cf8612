"""The control revision: one number that grows with every change to flags or phases."""

from sqlalchemy import Connection, insert, select, update

from flags.tables import control_revision


def read(connection: Connection) -> int:
    """The current revision; 0 before the first change."""
    return connection.scalar(select(control_revision.c.value)) or 0


def bump(connection: Connection) -> int:
    """Raise the revision inside the caller's transaction, and return it.

    Call it before reading what is about to change: it takes the lock that puts changes in a row.
    """
    raised: int | None = connection.scalar(
        update(control_revision)
        .values(value=control_revision.c.value + 1)
        .returning(control_revision.c.value)
    )
    if raised is not None:
        return raised
    connection.execute(insert(control_revision).values(id=1, value=1))
    return 1
