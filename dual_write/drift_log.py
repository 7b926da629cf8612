"""The tables' shapes as they were when capture began, kept with the inbox in the target."""

import json
from dataclasses import asdict

from dual_write.adapter import Adapter
from dual_write.drift import Shapes
from dual_write.rows import Session


def read(adapter: Adapter, session: Session, stream: str) -> dict[str, Shapes]:
    """By lane; none for a phase that was installed before shapes were kept."""
    rows = session.execute(f"SELECT tbl, shapes FROM {adapter.name('shape')} WHERE stream = ?", stream)
    return {table: Shapes(**json.loads(shapes)) for table, shapes in rows}


def write(adapter: Adapter, session: Session, stream: str, table: str, shapes: Shapes) -> None:
    session.execute(
        f"INSERT INTO {adapter.name('shape')} VALUES (?, ?, ?) "
        "ON CONFLICT (stream, tbl) DO UPDATE SET shapes = excluded.shapes",
        stream,
        table,
        json.dumps(asdict(shapes)),
    )


def forget(adapter: Adapter, session: Session, stream: str) -> None:
    session.execute(f"DELETE FROM {adapter.name('shape')} WHERE stream = ?", stream)
