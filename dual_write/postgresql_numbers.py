"""PostgreSQL's sequences, taken apart so that two databases number rows of one table at once."""

from dual_write.names import table_name
from dual_write.rows import Session


def strides(session: Session, table: str) -> dict[str, int | None]:
    """Columns with a sequence of their own, and its step; while it is interleaved, the step it had before.

    None for a sequence that is not the column's own: others may count with it too.
    """
    borrowed = session.execute(
        "SELECT a.attname FROM pg_attribute AS a "
        "JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        "WHERE a.attrelid = ?::text::regclass AND pg_get_serial_sequence(?, a.attname) IS NULL "
        "AND pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%'",
        table_name(table),
        table_name(table),
    )
    rows = session.execute(
        "SELECT a.attname, coalesce(n.stride, s.seqincrement) FROM pg_attribute AS a "
        "JOIN pg_sequence AS s ON s.seqrelid = pg_get_serial_sequence(?, a.attname)::regclass "
        "LEFT JOIN strangler.numbering AS n ON n.sequence = pg_get_serial_sequence(?, a.attname) "
        "WHERE a.attrelid = ?::text::regclass AND a.attnum > 0 AND NOT a.attisdropped",
        table_name(table),
        table_name(table),
        table_name(table),
    )
    return dict(rows) | {column: None for (column,) in borrowed}


def interleave(session: Session, stream: str, table: str, column: str, step: int, start: int) -> None:
    """Count from ``start`` in ``step``s. The step that is the sequence's own is kept until ``restore``."""
    [(sequence,)] = session.execute("SELECT pg_get_serial_sequence(?, ?)", table_name(table), column)
    session.execute(
        "INSERT INTO strangler.numbering (stream, sequence, stride) "
        "SELECT ?, ?::text, seqincrement FROM pg_sequence WHERE seqrelid = ?::text::regclass "
        "ON CONFLICT DO NOTHING",
        stream,
        sequence,
        sequence,
    )
    # RESTART gives the sequence new storage, and so sessions let go of the values that they have cached.
    session.execute(f"ALTER SEQUENCE {sequence} INCREMENT BY {step} RESTART WITH {start}")


def restore(session: Session, stream: str) -> None:
    """Let the stream's sequences count in their own steps again, behind what they have given out."""
    for sequence, stride in session.execute(
        "DELETE FROM strangler.numbering WHERE stream = ? RETURNING sequence, stride", stream
    ):
        [(last,)] = session.execute(f"SELECT last_value FROM {sequence}")
        session.execute(f"ALTER SEQUENCE {sequence} INCREMENT BY {stride} RESTART WITH {last + stride}")
