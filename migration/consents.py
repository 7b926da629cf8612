"""What people say about a step: approvals and confirmations, each bound to the step and to the plan.

One counts until it expires, while the plan is the one it was given for, and as long as the phase stays in the
stage in which it was given: what was said before a rollback says nothing about the next try.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from migration.actor import person
from migration.control import Control, read_phase
from migration.errors import StageError
from migration.gate_facts import ConsentFact, Step
from migration.plan import Phase, Plan
from migration.schema.tables import consents
from migration.stages import Stage


class Kind(StrEnum):
    APPROVAL = "approval"
    CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True)
class Consent:
    """One that was given: by whom, to what, until when (seconds since 1970). ``point`` is what a confirmation
    confirms."""

    phase: str
    kind: Kind
    step: Step
    point: str
    who: str
    note: str
    at: float
    expires_at: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "step": str(self.step)}


class Consents:
    """Approvals and confirmations in the control database."""

    def __init__(self, control: Control, plan: Plan) -> None:
        self._control = control
        self._plan = plan

    def approve(self, phase: str, step: Step, who: str, note: str = "") -> Consent:
        """Raises StageError when the plan asks for no approval of this step."""
        wanted = self._plan.phase(phase).gates.approvals
        if step.to not in wanted:
            raise StageError(
                f"the plan asks for no approval of {step.to} of phase {phase!r}. "
                f"It asks for them before: {', '.join(wanted) or 'nothing'}."
            )
        return self._give(phase, Kind.APPROVAL, step, "", who, note)

    def confirm(self, phase: str, step: Step, point: str, who: str, note: str = "") -> Consent:
        """Raises StageError when the plan has no such point before this step."""
        points = self._plan.phase(phase).gates.points_before(step.to)
        if point not in points:
            raise StageError(
                f"the plan has no point {point!r} to confirm before {step.to} of phase {phase!r}. "
                f"It has: {', '.join(map(repr, points)) or 'none'}."
            )
        return self._give(phase, Kind.CONFIRMATION, step, point, who, note)

    def fact(self, phase: Phase, step: Step, runner: str) -> ConsentFact:
        """What counts for ``step`` when ``runner`` takes it; an approval of one's own does not."""
        given = [each for each in self.given(phase.name) if each.step.covers(step)]
        approved = {person(each.who): each.who for each in given if each.kind is Kind.APPROVAL}
        own = approved.pop(person(runner), None)
        points = phase.gates.points_before(step.to)
        confirmed = {each.point: each.who for each in given if each.kind is Kind.CONFIRMATION}
        return ConsentFact(
            step=str(step),
            needed=phase.gates.approvals_before(step.to),
            approved=sorted(approved.values()),
            own=own is not None,
            confirmed={point: confirmed.get(point) for point in points},
        )

    def given(self, phase: str) -> Sequence[Consent]:
        """Those that count now, the oldest first."""
        with self._control.read() as connection:
            since = read_phase(connection, phase).stage_since
            rows = connection.execute(
                select(consents)
                .where(
                    consents.c.phase == phase,
                    consents.c.plan == self._plan.hash,
                    consents.c.at >= since,
                    consents.c.expires_at > self._control.now(connection),
                )
                .order_by(consents.c.id)
            )
            return [_consent(row) for row in rows]

    def _give(self, phase: str, kind: Kind, step: Step, point: str, who: str, note: str) -> Consent:
        lasts = self._plan.phase(phase).gates.consent_seconds
        with self._control.change() as change:  # the audit log is written by one at a time
            connection = change.connection
            at = self._control.now(connection)
            consent = Consent(phase, kind, step, point, who, note, at, at + lasts)
            connection.execute(
                insert(consents).values(
                    phase=phase,
                    kind=kind,
                    step=str(step.to),
                    share=step.share,
                    point=point,
                    plan=self._plan.hash,
                    who=who,
                    note=note,
                    at=at,
                    expires_at=at + lasts,
                )
            )
            self._audited(connection, consent)
        return consent

    def _audited(self, connection: Connection, consent: Consent) -> None:
        after = {"step": str(consent.step), "plan": self._plan.hash, "expires_at": consent.expires_at}
        after |= {"point": consent.point} if consent.point else {}
        after |= {"note": consent.note} if consent.note else {}
        self._control.audit(connection, consent.who, f"{consent.kind} for {consent.phase}", {}, after)


def _consent(row: Row[Any]) -> Consent:
    to: Any = row.step if row.share is not None else Stage(row.step)
    return Consent(
        row.phase, Kind(row.kind), Step(to, row.share), row.point, row.who, row.note, row.at, row.expires_at
    )
