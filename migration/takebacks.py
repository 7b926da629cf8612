"""Reads that the guard took back: in one write, with a lock that lasts until somebody has looked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from flags.percent import format_percent
from flags.store import EmbeddedStore, StoredFlag
from migration import refusals
from migration.control import Control, read_phase
from migration.errors import StageError
from migration.lease import Lease
from migration.ramp_verdict import Judgement
from migration.schema.tables import takebacks
from migration.stages import PhaseRecord, Stage

WATCHED = frozenset({Stage.RAMP, Stage.LIVE})
"""The stages in which the flag of the reads says who answers."""


@dataclass(frozen=True, slots=True)
class Takeback:
    """One that was made at a time (seconds since 1970): the ``share`` (‱) that the reads had, and why.

    ``evidence`` has the counts behind it, None until they are written down. While ``acknowledged_at`` is None
    the share of the reads is not raised.
    """

    id: int
    phase: str
    at: float
    share: int
    test: str
    reason: str
    evidence: Mapping[str, Any] | None
    acknowledged_at: float | None
    acknowledged_by: str | None
    note: str | None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": format_percent(self.share)}


class Takebacks:
    """Those of all phases, in the control database."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def take_back(
        self,
        lease: Lease,
        flags: EmbeddedStore,
        phase: str,
        found: Judgement,
        actor: str,
        *,
        chosen: bool = False,
    ) -> Takeback | None:
        """Kill the flag, so that the monolith answers every read; that, lock and audit are one write.

        ``chosen``: the plan lets some in before any percentage. None where nothing was left to take back:
        whoever did it by hand was first. Raises LeaseLost.
        """
        if not _lets_in(flags.get(f"{phase}.reads"), chosen):
            return None  # without a write: the windows still show the fault long after
        with self._control.change() as change:
            lease.hold(change.connection)
            record = read_phase(change.connection, phase)
            flag = flags.get(f"{phase}.reads", within=change.connection)
            if record.stage not in WATCHED or flag is None or not _lets_in(flag, chosen):
                return None
            flags.kill(flag.name, actor, within=change.connection)
            at = self._control.now(change.connection)
            made = change.connection.execute(
                insert(takebacks)
                .values(phase=phase, at=at, share=flag.share, test=found.test, reason=found.reason)
                .returning(takebacks)
            ).one()
            before, after = {"reads": flag.share}, {"reads": 0, "why": found.reason}
            what = f"reads of {phase} taken back by the guard"
            self._control.audit(change.connection, actor, what, before, after)
        return _takeback(made)

    def add_evidence(self, takeback: Takeback, evidence: Mapping[str, Any]) -> None:
        with self._control.write() as connection:
            connection.execute(
                update(takebacks).where(takebacks.c.id == takeback.id).values(evidence=dict(evidence))
            )

    def without_evidence(self) -> list[Takeback]:
        """Those whose guard died between taking back and writing down why."""
        with self._control.read() as connection:
            rows = connection.execute(select(takebacks).where(takebacks.c.evidence.is_(None)))
            return [_takeback(row) for row in rows]

    def open(self, phase: str) -> Takeback | None:
        """The one that nobody has acknowledged."""
        with self._control.read() as connection:
            return open_takeback(connection, phase)

    def of(self, phase: str, limit: int = 20) -> list[Takeback]:
        """The phase's latest, the newest first."""
        with self._control.read() as connection:
            rows = connection.execute(
                select(takebacks)
                .where(takebacks.c.phase == phase)
                .order_by(takebacks.c.id.desc())
                .limit(limit)
            )
            return [_takeback(row) for row in rows]

    def acknowledge(self, phase: str, who: str, note: str) -> Takeback:
        """Somebody has looked: the share may be raised again. Raises StageError when there is nothing."""
        with self._control.change() as change:
            found = open_takeback(change.connection, phase)
            if found is None:
                raise StageError(f"the guard has taken nothing of phase {phase!r} back that waits for you.")
            values = {
                "acknowledged_at": self._control.now(change.connection),
                "acknowledged_by": who,
                "note": note,
            }
            row = change.connection.execute(
                update(takebacks).where(takebacks.c.id == found.id).values(values).returning(takebacks)
            ).one()
            what = f"take-back of {phase} acknowledged"
            told = {"reason": found.reason, "note": note}
            self._control.audit(change.connection, who, what, {}, told)
        return _takeback(row)


def raises(before: StoredFlag | None, share: int) -> bool:
    """Whether this share (‱) lets in more than the flag does now; one that was killed lets in nobody."""
    return before is None or before.killed or share > before.share


def _lets_in(flag: StoredFlag | None, chosen: bool) -> bool:
    """Whether the service answers anybody: also one of several strategies at 0 % may let some in."""
    if flag is None or not flag.feature.enabled:
        return False
    return chosen or flag.share > 0 or len(flag.feature.strategies) > 1


def open_takeback(connection: Connection, phase: str) -> Takeback | None:
    row = connection.execute(
        select(takebacks)
        .where(takebacks.c.phase == phase, takebacks.c.acknowledged_at.is_(None))
        .order_by(takebacks.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _takeback(row)


def require_unlocked(connection: Connection, phase: str) -> None:
    """Raises StageError while a take-back waits to be acknowledged: no share of the reads is raised then."""
    found = open_takeback(connection, phase)
    if found is not None:
        raise StageError(refusals.taken_back(phase, found.reason))


def judged_since(connection: Connection, record: PhaseRecord) -> float:
    """What was answered before (seconds since 1970) says nothing about what runs now."""
    looked = connection.scalar(
        select(func.max(takebacks.c.acknowledged_at)).where(takebacks.c.phase == record.name)
    )
    return max(record.stage_since, looked or 0.0)


def _takeback(row: Row[Any]) -> Takeback:
    return Takeback(
        id=row.id,
        phase=row.phase,
        at=row.at,
        share=row.share,
        test=row.test,
        reason=row.reason,
        evidence=row.evidence,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        note=row.note,
    )
