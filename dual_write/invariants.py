"""Invariants: SQL of the plan whose answer is the same on both sides, or is what the plan expects."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import sqlalchemy as sa

from dual_write.check_pace import POLITE, Manners, Pace
from dual_write.check_suspects import Settle
from dual_write.digest_reader import Rows, SideReader
from dual_write.errors import CheckFailed

Answer = tuple[tuple[object, ...], ...]
"""What one side's statement returned, rows sorted and numbers exact."""

_LOOKS = 6
_PAUSE_SECONDS = 0.05
_MOST_ROWS = 10_000


class Holding(StrEnum):
    """What became of an invariant. ``UNDECIDED``: the answers differed, and neither ever held still."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A statement for each side, at least one. ``expect`` is the one value that each has to return; without
    it both sides have to return the same rows, in any order.
    """

    name: str
    monolith: str | None
    service: str | None
    expect: str | int | float | bool | None = None


@dataclass(frozen=True, slots=True)
class InvariantResult:
    """``said`` tells in words what was found; values that are no numbers are not shown."""

    name: str
    holding: Holding
    said: str

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "holding": self.holding.value, "said": self.said}


def check_invariants(
    monolith: sa.Engine,
    service: sa.Engine,
    invariants: Sequence[Invariant],
    settle: Settle | None,
    manners: Manners = POLITE,
) -> list[InvariantResult]:
    """Ask both sides, and ask again while replication is under way.

    Raises CheckFailed or SchemaError when a statement cannot be run, and UnreachableError.
    """
    if not invariants:
        return []
    pace, seconds = Pace(manners.share), manners.statement_seconds
    with (
        SideReader(monolith, "monolith", pace, seconds) as ours,
        SideReader(service, "service", pace, seconds) as theirs,
    ):
        return [_checked(invariant, ours, theirs, settle) for invariant in invariants]


def _checked(
    invariant: Invariant, ours: SideReader, theirs: SideReader, settle: Settle | None
) -> InvariantResult:
    before: list[Answer] = []
    for attempt in range(_LOOKS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
            if settle and not settle():
                raise CheckFailed(
                    f"replication did not catch up in time, so the invariant {invariant.name!r} could not be "
                    "judged; look at the lag with `strangler status`, and check again when it is low"
                )
        answers = _answers(invariant, ours, theirs)
        if _holds(invariant, answers):
            return InvariantResult(invariant.name, Holding.HOLDS, _shown(answers))
        if answers == before:
            return InvariantResult(invariant.name, Holding.BROKEN, _shown(answers))
        before = answers
    return InvariantResult(invariant.name, Holding.UNDECIDED, _shown(before))


def _answers(invariant: Invariant, ours: SideReader, theirs: SideReader) -> list[Answer]:
    asked = [
        (sql, side, side.ask((sql.replace("%", "%%") if side.postgresql else sql, ())))
        for sql, side in ((invariant.monolith, ours), (invariant.service, theirs))
        if sql is not None
    ]
    return [_answer(invariant, answer.result(), side.role) for _, side, answer in asked]


def _answer(invariant: Invariant, rows: Rows, side: str) -> Answer:
    if len(rows) > _MOST_ROWS:
        raise CheckFailed(
            f"the invariant {invariant.name!r} returned {len(rows)} rows on the {side}, of at most "
            f"{_MOST_ROWS}; aggregate them in its statement"
        )
    if invariant.expect is not None and [len(row) for row in rows] != [1]:
        raise CheckFailed(
            f"the invariant {invariant.name!r} has to return one value on the {side} to compare with `expect`"
        )
    return tuple(sorted((tuple(map(_exact, row)) for row in rows), key=repr))


def _exact(value: object) -> object:
    """Both engines' numbers as one type, all else as text."""
    match value:
        case None:
            return None
        case bool() | int():
            return Decimal(int(value))
        case float():
            return Decimal(repr(value))
        case Decimal():
            return value
        case bytes():
            return value.hex()
        case _:
            return str(value)


def _holds(invariant: Invariant, answers: Sequence[Answer]) -> bool:
    if invariant.expect is not None:
        return all(answer == ((_exact(invariant.expect),),) for answer in answers)
    return len(set(answers)) == 1


def _shown(answers: Sequence[Answer]) -> str:
    return " against ".join(map(_short, answers))


def _short(answer: Answer) -> str:
    match answer:
        case ((Decimal() as number,),):
            return format(number, "f")
        case _:
            return f"{len(answer)} rows"
