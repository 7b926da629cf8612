"""How both sides answer the reads of a ramp: told by the workers, kept for the guard and the gates."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from facade.tally import ReadCounts
from flags.side import Side
from migration.control import Control
from migration.read_answers import Answers, Both
from migration.schema.observed import read_counts

FINE_SECONDS = 900.0
"""Counts are kept as they were told for so long, and then minute by minute."""
RETENTION_SECONDS = 30 * 86_400.0
_MINUTE = 60


class ControlReads:
    """The facade's ReadSink on the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def tell(self, counts: Sequence[ReadCounts]) -> None:
        """One statement: it is made several times a second."""
        with self._control.write() as connection:
            at = self._control.clock(connection)
            values = [
                {
                    "phase": each.phase,
                    "side": each.side.value,
                    "at": at,
                    "answered": each.answered,
                    "failed": each.failed,
                    "milliseconds": _stored(each.milliseconds),
                }
                for each in counts
            ]
            connection.execute(insert(read_counts).values(values))


@dataclass(frozen=True, slots=True)
class Told:
    """What one worker told of one side, at a time in seconds since 1970."""

    id: int
    phase: str
    side: Side
    at: float
    answers: Answers


def told_since(connection: Connection, phases: Collection[str], since: float) -> list[Told]:
    """What was told of these phases after a time, the oldest first."""
    rows = connection.execute(
        select(read_counts)
        .where(read_counts.c.phase.in_(phases), read_counts.c.at > since)
        .order_by(read_counts.c.at, read_counts.c.id)
    )
    return [Told(row.id, row.phase, Side(row.side), row.at, _answers(row)) for row in rows]


def pair_of(told: Sequence[Told]) -> Both:
    """Both sides of what was told of one phase."""
    return Both(*(Answers.all(each.answers for each in told if each.side is side) for side in _SIDES))


def compact(control: Control) -> None:
    """Sum up by the minute what is no longer judged by the second, and forget what is very old."""
    with control.write() as connection:
        now = control.now(connection)
        connection.execute(delete(read_counts).where(read_counts.c.at < now - RETENTION_SECONDS))
        old = connection.execute(
            select(read_counts)
            .where(read_counts.c.minute.is_(None), read_counts.c.at < now - FINE_SECONDS)
            .order_by(read_counts.c.phase, read_counts.c.side, read_counts.c.at)
            .limit(10_000)
        ).all()
        for (phase, side, minute), rows in groupby(old, key=_slot):
            summed = list(rows)
            answers = Answers.all(map(_answers, summed))
            connection.execute(delete(read_counts).where(read_counts.c.id.in_([row.id for row in summed])))
            connection.execute(
                insert(read_counts).values(
                    phase=phase,
                    side=side,
                    at=summed[-1].at,
                    minute=minute,
                    answered=answers.answered,
                    failed=answers.failed,
                    milliseconds=_stored(answers.milliseconds),
                )
            )


_SIDES = (Side.SERVICE, Side.MONOLITH)


def _slot(row: Row[Any]) -> tuple[str, str, int]:
    return row.phase, row.side, int(row.at) // _MINUTE * _MINUTE


def _stored(milliseconds: Any) -> dict[str, int]:
    return {str(bound): number for bound, number in milliseconds.items()}


def _answers(row: Row[Any]) -> Answers:
    buckets = {float(bound): number for bound, number in row.milliseconds.items()}
    return Answers(row.answered, row.failed, buckets)
