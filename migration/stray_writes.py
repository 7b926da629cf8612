"""Writes past the facade that the monolith's database refused: when they were last seen, and how many."""

from dataclasses import dataclass

from sqlalchemy import select

from migration.control import Control, upsert
from migration.schema import observed


@dataclass(frozen=True, slots=True)
class StrayWrites:
    """``refused`` is the database's own count; ``ago`` the seconds since it was last seen to grow."""

    refused: int
    ago: float | None


def stray_writes(control: Control, phase: str) -> StrayWrites | None:
    """What was last seen; None before anybody has looked."""
    with control.read() as connection:
        now = control.now(connection)
        row = connection.execute(
            select(observed.stray_writes).where(observed.stray_writes.c.phase == phase)
        ).one_or_none()
    if row is None:
        return None
    return StrayWrites(row.refused, None if row.last_at is None else max(0.0, now - row.last_at))


def note_refused(control: Control, phase: str, refused: int) -> None:
    """Remember the database's count. One that grew, or began anew and is not zero, was seen to grow now."""
    known = stray_writes(control, phase)
    if known is not None and known.refused == refused:
        return
    with control.write() as connection:
        values: dict[str, object] = {"phase": phase, "refused": refused}
        if refused:
            values["last_at"] = control.now(connection)
        upsert(connection, observed.stray_writes, values, key=("phase",))
