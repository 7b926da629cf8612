"""What each kind of step asks, does, verifies and takes back, on the real phase."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

from flags.percent import format_percent, parse_percent
from flags.side import Side
from migration.check_history import Scope, last_check
from migration.checking import check_phase
from migration.doctor import Level, diagnose
from migration.errors import WorkersLate
from migration.gate_facts import Step as GatedStep
from migration.leftovers import leftovers
from migration.runbook_steps import Advance, Check, Complete, Confirm, Doctor, Ramp, Run, Soak, Step, Sync
from migration.stages import ORDER, Stage
from migration.walk_commands import RunAct
from migration.walk_desk import LOOK_AGAIN_SECONDS, Act, Answer, Desk
from migration.walk_states import Event
from migration.workers import ControlWorkers

_WORKERS_SECONDS = 5.0


class DoctorAct(Act):
    def do(self) -> None:
        """It only looks; what it sees is the verdict."""

    def verify(self) -> Answer:
        failed = [d for d in diagnose(self.desk.wiring.plan, [self.phase]) if d.level is Level.FAIL]
        if not failed:
            return Answer(Event.HOLDS)
        first = failed[0]
        more = f" ({len(failed) - 1} more: `strangler doctor {self.phase}`)" if len(failed) > 1 else ""
        return Answer(Event.ABSENT, f"{first.subject}: {first.text} {first.remedy}{more}".strip())


class SyncAct(Act):
    def precheck(self) -> Answer:
        record = self.desk.record
        if Side.SERVICE in record.writers:
            return Answer(Event.REFUSED, f"the phase is in {record.stage}, and its service writes already")
        answer = self.verify()
        return answer if answer.event is Event.HOLDS else Answer(Event.READY)

    def do(self) -> None:
        self.desk.wiring.controller.sync(self.phase, lambda _: None, lambda: False)

    def verify(self) -> Answer:
        if not self.desk.settled():
            return _open_run()
        if self.desk.record.stage is Stage.OFF:
            return Answer(Event.ABSENT, "capture is not installed")
        replication = self.desk.wiring.controller.replication(self.phase)
        try:
            if replication.backfilled():
                return Answer(Event.HOLDS)
        finally:
            replication.dispose()
        return Answer(Event.ABSENT, "not every row is copied")


class CheckAct(Act):
    def do(self) -> None:
        check_phase(self.desk.wiring, self.phase)

    def verify(self) -> Answer:
        """The check that was begun by this step, not an earlier one."""
        check = last_check(self.desk.wiring.control, self.phase, Scope.WHOLE)
        began, _ = self.began()
        if check is None or check[0].started < began:
            return Answer(Event.ABSENT, "the two sides were not compared")
        if not check[0].clean:
            return Answer(
                Event.ABSENT,
                f"the check found {check[0].findings} differences. "
                f"Look at `strangler check {self.phase}`, and mend them",
            )
        return Answer(Event.HOLDS)

    def stands(self) -> Answer:
        answer, limit = self.verify(), self.desk.wiring.plan.phase(self.phase).gates.max_check_age_seconds
        check = last_check(self.desk.wiring.control, self.phase, Scope.WHOLE)
        if answer.event is Event.HOLDS and check is not None and check[1] > limit:
            return Answer(Event.ABSENT, f"the last check is {check[1]:.0f} s old; the limit is {limit:g} s")
        return answer


class AdvanceAct(Act):
    step: Advance

    def precheck(self) -> Answer:
        before = ORDER[ORDER.index(self.step.stage) - 1]
        if (now := self.desk.record.stage) is not before:
            return Answer(Event.REFUSED, f"the phase is in {now}, and the step leads on from {before}")
        return self.desk.await_gates(GatedStep(self.step.stage))

    def do(self) -> None:
        moved = self.desk.wiring.controller.advance(self.phase)
        held = moved.held_seconds
        pause = "" if held is None else f", writes waited {held * 1000:.0f} ms"
        self.desk.tell(f"  {moved.source} → {moved.target}{pause}")

    def verify(self) -> Answer:
        if not self.desk.settled():
            return _open_run()
        now = self.desk.record.stage
        if ORDER.index(now) >= ORDER.index(self.step.stage):
            return Answer(Event.HOLDS)
        return Answer(Event.ABSENT, f"the phase is in {now}")

    def undo(self) -> None:
        if self.desk.record.stage is self.step.stage:
            self.desk.wiring.controller.rollback(self.phase)


class RampAct(Act):
    step: Ramp

    def precheck(self) -> Answer:
        if (now := self.desk.record.stage) is not Stage.RAMP:
            return Answer(Event.REFUSED, f"the phase is in {now}, and shares are ramped in {Stage.RAMP}")
        shares, wanted = self.desk.shares(), self._wanted()
        if all(shares[kind] >= share for kind, share in wanted.items()):
            return Answer(Event.HOLDS, f"already {_said(shares)}")
        raised: list[Literal["reads", "writes"]] = ["reads", "writes"]
        for kind in raised:
            if wanted.get(kind, 0) > shares[kind]:
                answer = self.desk.await_gates(GatedStep(kind, wanted[kind]))
                if answer.event is not Event.READY:
                    return answer
        return Answer(Event.READY, detail={"before": shares})

    def do(self) -> None:
        shares, wanted = self.desk.shares(), self._wanted()
        raised = {kind: share / 100 for kind, share in wanted.items() if share > shares[kind]}
        self.desk.wiring.controller.ramp(self.phase, **raised)
        self.desk.tell(f"  {_said(self.desk.shares())}")

    def verify(self) -> Answer:
        if not self.desk.settled():
            return _open_run()
        shares, wanted = self.desk.shares(), self._wanted()
        if any(shares[kind] < share for kind, share in wanted.items()):
            return Answer(Event.ABSENT, _said(shares))
        control = self.desk.wiring.control
        try:
            deadline = time.monotonic() + _WORKERS_SECONDS
            ControlWorkers(control).wait_for_revision(control.revision(), deadline)
        except WorkersLate as late:
            return Answer(Event.ABSENT, str(late))
        return Answer(Event.HOLDS)

    def undo(self) -> None:
        """Back to the shares from before."""
        _, detail = self.began()
        before, shares = detail.get("before", {}), self.desk.shares()
        back = {k: before[k] / 100 for k in self._wanted() if k in before and before[k] < shares[k]}
        if back and self.desk.record.stage is Stage.RAMP:
            self.desk.wiring.controller.ramp(self.phase, **back)

    def _wanted(self) -> dict[str, int]:
        precision = self.desk.wiring.plan.flags.precision
        given = (("reads", self.step.reads), ("writes", self.step.writes))
        return {kind: parse_percent(share, precision) for kind, share in given if share is not None}


class SoakAct(Act):
    step: Soak

    def precheck(self) -> Answer:
        return Answer(Event.READY, detail={"stage": self.desk.record.stage, "before": self.desk.shares()})

    def do(self) -> None:
        while self._lowered() is None and (left := self._left()) > 0:
            time.sleep(min(left, LOOK_AGAIN_SECONDS))

    def verify(self) -> Answer:
        if (lowered := self._lowered()) is not None:
            return Answer(Event.ABSENT, lowered)
        if (left := self._left()) > 0:
            return Answer(Event.ABSENT, f"another {left:.0f} s to go")
        return Answer(Event.HOLDS)

    def _left(self) -> float:
        began, _ = self.began()
        now = began if self.desk.journal is None else self.desk.journal.now()
        return began + self.step.lasts - now

    def _lowered(self) -> str | None:
        """How the phase has been taken back since the step began."""
        _, detail = self.began()
        now, shares = self.desk.record.stage, self.desk.shares()
        if ORDER.index(now) < ORDER.index(Stage(detail.get("stage", now))):
            return f"the phase was taken back from {detail['stage']} to {now}"
        if any(shares[kind] < share for kind, share in detail.get("before", {}).items()):
            return f"shares were taken back meanwhile: now {_said(shares)}"
        return None


class ConfirmAct(Act):
    step: Confirm

    def precheck(self) -> Answer:
        return Answer(Event.ASKS)

    def do(self) -> None:
        """A person does it."""

    def verify(self) -> Answer:
        return Answer(Event.HOLDS)


class CompleteAct(Act):
    def precheck(self) -> Answer:
        if (now := self.desk.record.stage) is not Stage.LIVE:
            return Answer(Event.REFUSED, f"the phase is in {now}, and only a live one can be completed")
        return self.desk.await_gates(GatedStep(Stage.COMPLETE))

    def do(self) -> None:
        left = leftovers(self.desk.wiring.plan, self.phase)
        self.desk.wiring.controller.complete(self.phase)
        for line in left.lines():
            self.desk.tell(f"  {line}")

    def verify(self) -> Answer:
        if not self.desk.settled():
            return _open_run()
        if (now := self.desk.record.stage) is Stage.COMPLETE:
            return Answer(Event.HOLDS)
        return Answer(Event.ABSENT, f"the phase is in {now}")


def _open_run() -> Answer:
    return Answer(Event.UNCLEAR, "a move of the phase has not ended yet; `strangler status` shows it")


def _said(shares: Mapping[str, int]) -> str:
    return ", ".join(f"{format_percent(share)} % of the {kind}" for kind, share in shares.items())


ACTS: Mapping[type[Step], type[Act]] = {
    Doctor: DoctorAct,
    Sync: SyncAct,
    Check: CheckAct,
    Advance: AdvanceAct,
    Ramp: RampAct,
    Soak: SoakAct,
    Confirm: ConfirmAct,
    Run: RunAct,
    Complete: CompleteAct,
}


def acts(desk: Desk) -> Callable[[Step], Act]:
    """What each step does, at one desk."""
    return lambda step: ACTS[type(step)](desk, step)
