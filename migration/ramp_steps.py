"""The stepped ramp: reads go to the service by the plan's percentages, each judged before the next."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update

from flags.percent import format_percent, parse_percent
from flags.store import EmbeddedStore
from migration import refusals
from migration.consents import Consents
from migration.control import Control, read_phase, upsert
from migration.errors import StageError
from migration.gate_facts import Step, Verdict
from migration.gates_of_people import of_people, span
from migration.lease import Lease
from migration.plan import Phase, Plan
from migration.ramp_verdict import judge_errors, judge_latency
from migration.read_traffic import pair_of, told_since
from migration.schema.tables import ramps
from migration.stages import PhaseRecord, Stage
from migration.takebacks import judged_since, open_takeback, require_unlocked

ONE_LOOK = 0.001
"""The chance of holding a step for nothing: it is judged seldom, and holding does no harm."""


class State(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Stepped:
    """How far a phase's steps have come: the ``share`` (‱) that they set last, since when, and in words what
    they wait for."""

    phase: str
    state: State
    share: int
    since: float
    said: str

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "share": format_percent(self.share)}


class RampSteps:
    """The steps of the plan, gone on behalf of ``actor``."""

    def __init__(self, plan: Plan, control: Control, flags: EmbeddedStore, actor: str) -> None:
        self._plan = plan
        self._control = control
        self._flags = flags
        self._actor = actor

    def start(self, phase: str) -> Stepped:
        """Begin at the present share, or go on from there. Raises StageError."""
        steps = self._steps(self._plan.phase(phase))
        if not steps:
            raise StageError(refusals.no_steps(phase))
        with self._control.change() as change:
            record = read_phase(change.connection, phase)
            if record.stage is not Stage.RAMP:
                raise StageError(refusals.not_in_ramp(record))
            require_unlocked(change.connection, phase)
            share = self._share(change.connection, phase)
            if share >= steps[-1]:
                raise StageError(refusals.nothing_to_climb(phase, share))
            said = "the first step is due." if share == 0 else f"waits at {format_percent(share)} %."
            stepped = Stepped(phase, State.RUNNING, share, self._control.now(change.connection), said)
            upsert(change.connection, ramps, asdict(stepped), key=("phase",))
            shown = {"from": format_percent(share), "steps": [format_percent(each) for each in steps]}
            self._control.audit(change.connection, self._actor, f"steps of {phase} started", {}, shown)
        return stepped

    def pause(self, phase: str) -> Stepped:
        """Raise nothing more until they are started again. Raises StageError when they do not run."""
        with self._control.change() as change:
            stepped = read_steps(change.connection, phase)
            if stepped is None or stepped.state is not State.RUNNING:
                raise StageError(f"no steps of phase {phase!r} are running.")
            self._say(change.connection, stepped, f"paused by {self._actor}.", State.PAUSED)
            self._control.audit(change.connection, self._actor, f"steps of {phase} paused", {}, {})
            return read_steps(change.connection, phase) or stepped

    def go_on(self, lease: Lease) -> None:
        """Take every step that is due and may be taken. Raises LeaseLost."""
        with self._control.read() as connection:
            rows = connection.execute(select(ramps).where(ramps.c.state == State.RUNNING.value)).all()
        known = {phase.name: phase for phase in self._plan.phases}
        for stepped in map(_stepped, rows):
            if stepped.phase in known:
                self._go_on(lease, known[stepped.phase], stepped)

    def _go_on(self, lease: Lease, phase: Phase, stepped: Stepped) -> None:
        with self._control.read() as connection:
            record = read_phase(connection, phase.name)
            now = self._control.now(connection)
            stopped = self._stopped(connection, record, stepped)
            waits = None if stopped else self._waits(connection, phase, record, stepped, now)
        steps = self._steps(phase)
        following = next((each for each in steps if each > stepped.share), None)
        if stopped is None and waits is None and following is not None:
            consent = Consents(self._control, self._plan).fact(phase, Step("reads", following), self._actor)
            closed = [each for each in of_people(phase.name, consent) if not each.open]
            waits = " ".join(f"{each.name}: {each.reason} {each.remedy}" for each in closed) or None
        if stopped is not None or waits is not None:
            said, state = stopped or waits or "", State.PAUSED if stopped else State.RUNNING
            if said != stepped.said:
                with self._control.write() as connection:
                    self._say(connection, stepped, said, state)
        elif following is None:
            with self._control.write() as connection:
                done = f"all steps are taken; `strangler advance {phase.name}` leads on."
                self._say(connection, stepped, done, State.DONE)
        else:
            self._raise(lease, stepped, following)

    def _raise(self, lease: Lease, stepped: Stepped, share: int) -> None:
        with self._control.change() as change:
            lease.hold(change.connection)
            record = read_phase(change.connection, stepped.phase)
            if self._stopped(change.connection, record, stepped) is not None:
                return  # said at the next look
            name = f"{stepped.phase}.reads"
            self._flags.set_share(name, share, self._actor, within=change.connection)
            now = self._control.now(change.connection)
            said = f"waits at {format_percent(share)} %."
            upsert(
                change.connection,
                ramps,
                asdict(Stepped(stepped.phase, State.RUNNING, share, now, said)),
                key=("phase",),
            )
            before, after = {"reads": stepped.share}, {"reads": share}
            self._control.audit(change.connection, self._actor, f"step of {stepped.phase}", before, after)

    def _stopped(self, connection: Connection, record: PhaseRecord, stepped: Stepped) -> str | None:
        """Why the steps must not go on: what somebody did by hand comes first."""
        if record.stage is not Stage.RAMP:
            return f"the phase is in {record.stage}."
        if open_takeback(connection, stepped.phase) is not None:
            return "the guard has taken the reads back."
        share = self._share(connection, stepped.phase)
        if share != stepped.share:
            return f"the share was changed by hand, to {format_percent(share)} %."
        return None

    def _waits(
        self, connection: Connection, phase: Phase, record: PhaseRecord, stepped: Stepped, now: float
    ) -> str | None:
        """Why the next step is not due yet, or not proven."""
        if stepped.share == 0:
            return None
        steps = self._steps(phase)
        number = max((n for n, share in enumerate(steps) if share <= stepped.share), default=0)
        wanted = phase.ramp.seconds_at(number)
        at = f"waits at {format_percent(stepped.share)} %"
        if now - stepped.since < wanted:
            return f"{at} for {span(wanted)}."
        since = max(stepped.since, judged_since(connection, record))
        told = told_since(connection, [phase.name], since)
        pair = pair_of(told)
        if pair.service.answered < phase.ramp.min_samples:
            return (
                f"{at}: the service has answered {pair.service.answered} of {phase.ramp.min_samples} reads."
            )
        errors = judge_errors(pair, phase.guard, ONE_LOOK)
        latency = judge_latency([pair], phase.guard, ONE_LOOK)
        bad = [errors] if errors.verdict is not Verdict.PASS else []
        # Where the monolith answers too little to compare with, errors alone are judged.
        bad += [latency] if latency.verdict is Verdict.FAIL else []
        return f"{at}: {' '.join(each.reason for each in bad)}" if bad else None

    def _say(self, connection: Connection, stepped: Stepped, said: str, state: State) -> None:
        connection.execute(
            update(ramps).where(ramps.c.phase == stepped.phase).values(said=said, state=state.value)
        )

    def _share(self, connection: Connection, phase: str) -> int:
        flag = self._flags.get(f"{phase}.reads", within=connection)
        return 0 if flag is None else flag.share

    def _steps(self, phase: Phase) -> list[int]:
        return [parse_percent(step, self._plan.flags.precision) for step in phase.ramp.steps]


def read_steps(connection: Connection, phase: str) -> Stepped | None:
    """How far a phase's steps have come; None when they were never started."""
    row = connection.execute(select(ramps).where(ramps.c.phase == phase)).one_or_none()
    return None if row is None else _stepped(row)


def _stepped(row: Any) -> Stepped:
    return Stepped(row.phase, State(row.state), row.share, row.since, row.said)
