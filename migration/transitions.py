"""Moving a phase from stage to stage: what `sync`, `advance`, `ramp`, `rollback` and `complete` do."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from dual_write.replication import BackfillProgress, Replication
from flags.percent import FULL, parse_percent
from flags.side import Side
from flags.store import EmbeddedStore
from migration import gate_idle as idle
from migration import refusals
from migration.actor import this_actor
from migration.control import Control, read_phase
from migration.dataless import Dataless
from migration.errors import StageError, WorkersLate
from migration.gate_facts import GateVerdict, Step
from migration.gatekeeper import Gatekeeper
from migration.journal import Run
from migration.lease import Lease, new_holder
from migration.moves import Completion, Installation, Removal
from migration.plan import Plan
from migration.procedure import Observer, Procedure, unobserved
from migration.rechecking import Comparison
from migration.reconcile import Reconciler
from migration.shares import Shares
from migration.stages import PhaseRecord, Stage, backward, forward
from migration.switch import Switch, asked
from migration.workers import ControlWorkers

WORKERS_SECONDS = 2.0

Replications = Callable[[str], Replication]
Recheck = Callable[[str, Replication, Side], AbstractContextManager[Comparison]]
"""As `migration.switch.Recheck`, for the phase named first."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a command did. ``held_seconds`` is how long a switch held writes, None without a switch.

    ``late_workers`` did not report the new revision in time; they still serve the state before it.
    ``unheard`` are hooks that could not be told of the new stage.
    """

    phase: str
    source: Stage
    target: Stage
    revision: int
    held_seconds: float | None = None
    late_workers: tuple[str, ...] = ()
    unheard: tuple[GateVerdict, ...] = ()


class Controller:
    """Moves the plan's phases. Each method first ends what a dead controller left behind.

    Raises StageError for a move that the stage does not allow, GateClosed, LeaseHeld, RunCancelled when a
    move was taken back and RunUnfinished when the reconciler goes on with it.
    """

    def __init__(
        self,
        plan: Plan,
        control: Control,
        replications: Replications,
        *,
        actor: str | None = None,
        observer: Observer = unobserved,
        recheck: Recheck | None = None,
    ) -> None:
        self._plan = plan
        self._control = control
        self._replications = replications
        self._actor = actor or this_actor()
        self._observer = observer
        self._recheck = recheck
        self._flags = EmbeddedStore(control.engine, plan.flags.precision)
        self._shares = Shares(control, self._flags, self._actor)
        self._gatekeeper = Gatekeeper(plan, control, self.replication, self._actor)
        self._workers = ControlWorkers(control)
        self._reconciler = Reconciler(control, self.resume)

    def sync(
        self,
        phase: str,
        progress: Callable[[BackfillProgress], None],
        stop: Callable[[], bool],
    ) -> bool:
        """Install capture, also where it was lost, then backfill. Resumes; True when every row is copied."""
        record = self._record(phase)
        if Side.SERVICE in record.writers:
            raise StageError(refusals.owned_by_service(record))
        if record.stage is Stage.OFF:
            self.advance(phase)
        replication = self.replication(phase)
        try:
            if record.stage is not Stage.OFF:
                replication.renew()
            return replication.backfill(progress, stop)
        finally:
            replication.dispose()

    def advance(self, phase: str) -> Moved:
        """To the next stage, when its gates are open."""
        return self._told(self._advance(phase))

    def _advance(self, phase: str) -> Moved:
        record = self._record(phase)
        move = forward(record.stage)
        if move is None:
            raise StageError(refusals.nothing_ahead(record))
        if move.target is Stage.COMPLETE:
            raise StageError(refusals.completes_only_on_purpose(record))
        if move.target is Stage.DUAL_WRITE:
            return self._walk(Installation(self._control, self._replicate(phase), phase, self._actor), record)
        if move.target is Stage.LIVE:
            shares = {f"{phase}.reads": FULL, f"{phase}.writes": FULL}
            if record.writers != (Side.SERVICE,):
                return self._switch(record, Side.SERVICE, Stage.LIVE, shares, step=Step(Stage.LIVE))
            self._gatekeeper.require(phase, Step(Stage.LIVE))  # every write is there already
            return self._shift(record, Stage.LIVE, shares)
        self._gatekeeper.require(phase, Step(move.target))
        flag = "shadow" if move.target is Stage.SHADOW else "reads"
        return self._shift(record, move.target, {f"{phase}.{flag}": FULL if flag == "shadow" else 0})

    def ramp(self, phase: str, reads: str | float | None = None, writes: str | float | None = None) -> Moved:
        """Set the shares of reads and of routing keys' writes that are the service's, in percent.

        A new share of writes takes a fenced switch, and reads change with it. Raises FlagError for a bad
        number.
        """
        if reads is None and writes is None:
            raise StageError(refusals.nothing_to_ramp(phase))
        precision = self._plan.flags.precision
        answered = None if reads is None else parse_percent(reads, precision)
        written = None if writes is None else parse_percent(writes, precision)
        if written is not None and (refusal := refusals.split_writes(self._plan.phase(phase), written)):
            raise StageError(refusal)
        record = self._record(phase)
        if record.stage is not Stage.RAMP:
            raise StageError(refusals.not_in_ramp(record))
        if answered is not None:
            self.require_allowed(f"{phase}.reads", answered)
        now = self._shares.writes(record)
        if written is not None and written != now:
            shares = {} if answered is None else {f"{phase}.reads": answered}
            return self._switch(
                record,
                Side.SERVICE if written == FULL else Side.MONOLITH,
                record.stage,
                shares | {f"{phase}.writes": written},
                split=0 < written < FULL,
                step=Step("writes", written) if written > now else None,
            )
        revision = None if answered is None else self._shares.ramp_reads(phase, answered)
        return self._moved(record, record.stage, revision or self._control.revision())

    def require_allowed(self, flag: str, share: int) -> None:
        """Raises GateClosed when ``flag`` has a phase's reads, which must not rise to ``share`` (‱)."""
        phase, _, kind = flag.rpartition(".")
        known = any(each.name == phase for each in self._plan.phases)
        if known and kind == "reads" and share > self._flags.snapshot().share(flag):
            self._gatekeeper.require(phase, Step("reads", share))

    def rollback(self, phase: str) -> Moved:
        """One stage back. Reads go back to the monolith first, at once, whatever else is going on."""
        record = self._stored(phase)
        move = backward(record.stage)
        if move is None:
            raise StageError(refusals.no_way_back(record))
        if record.stage in {Stage.RAMP, Stage.LIVE}:
            self._shares.take_reads_back(phase)
        record = self._record(phase)
        if record.writers != (move.writer,):
            shares = {f"{phase}.reads": 0, f"{phase}.writes": 0}
            return self._switch(record, move.writer, move.target, shares)
        if move.target is Stage.OFF:
            return self._walk(Removal(self._control, self._replicate(phase), phase, self._actor), record)
        return self._shift(record, move.target, {})

    def complete(self, phase: str, *, idle_waived: str | None = None) -> Moved:
        """live → complete: from here there is no way back.

        ``idle_waived`` says why it must be, although the monolith was still asked.
        """
        waived = {} if idle_waived is None else {idle.NAME: idle_waived}
        record = self._record(phase)
        if record.stage is not Stage.LIVE:
            raise StageError(refusals.not_live(record))
        completion = Completion(
            self._control,
            self._replicate(phase),
            phase,
            self._actor,
            precheck=lambda: self._gatekeeper.require(phase, Step(Stage.COMPLETE), waived),
        )
        return self._told(self._walk(completion, record))

    def verdicts(self, phase: str, step: Step) -> list[GateVerdict]:
        """Every gate before ``step``, with its reason."""
        return self._gatekeeper.verdicts(phase, step)

    def replication(self, phase: str) -> Replication:
        """The phase's data, to be disposed of by the caller."""
        return self._replications(phase) if self._plan.phase(phase).tables else Dataless()

    def resume(self, run: Run) -> Procedure:
        """The procedure of an interrupted run, from what it journaled."""
        replicate = self._replicate(run.phase)
        if run.kind == Switch.kind:
            return Switch.resumed(self._control, replicate, run)
        if run.kind == Completion.kind:
            return Completion(self._control, replicate, run.phase, run.actor, precheck=asked)
        move = {Installation.kind: Installation, Removal.kind: Removal}[run.kind]
        return move(self._control, replicate, run.phase, run.actor)

    def _switch(
        self,
        record: PhaseRecord,
        to: Side,
        target: Stage,
        shares: Mapping[str, int],
        *,
        split: bool = False,
        step: Step | None = None,
    ) -> Moved:
        phase = record.name
        recheck = self._recheck
        switch = Switch(
            self._control,
            self._replicate(phase),
            phase,
            self._actor,
            to=to,
            before=record.writers,
            split=split,
            source=record.stage,
            target=target,
            shares=shares,
            hold_limit=self._plan.facade.timeouts.hold,
            precheck=asked if step is None else lambda: self._gatekeeper.require(phase, step),
            # A rollback must not be refused because rows differ: it is what one does about it (I8).
            recheck=None
            if recheck is None or step is None
            else lambda replication, side: recheck(phase, replication, side),
        )
        return self._walk(switch, record)

    def _walk(self, procedure: Procedure, record: PhaseRecord) -> Moved:
        procedure.walk(self._observer)
        held = procedure.held_seconds if isinstance(procedure, Switch) else None
        after = self._control.phase(record.name)
        return self._moved(record, after.stage, self._control.revision(), held)

    def _shift(self, record: PhaseRecord, target: Stage, shares: Mapping[str, int]) -> Moved:
        """A move that is one write: stage and flags together, under the lease."""
        with (
            Lease.acquire(self._control, record.name, new_holder()) as lease,
            self._control.change() as change,
        ):
            lease.hold(change.connection)
            if read_phase(change.connection, record.name).stage is not record.stage:
                raise StageError(refusals.moved_meanwhile(record.name))
            self._control.amend(change, record.name, self._actor, f"to {target}", stage=target)
            raised = change.revision
            for name, share in shares.items():
                raised = self._flags.set_share(name, share, self._actor, within=change.connection)
        return self._moved(record, target, raised)

    def _told(self, moved: Moved) -> Moved:
        """Tell the plan's hooks where the phase has come to."""
        unheard = self._gatekeeper.reached(moved.phase, Step(moved.target))
        return replace(moved, unheard=tuple(unheard))

    def _moved(
        self, record: PhaseRecord, target: Stage, revision: int, held_seconds: float | None = None
    ) -> Moved:
        late: tuple[str, ...] = ()
        try:
            self._workers.wait_for_revision(revision, time.monotonic() + WORKERS_SECONDS)
        except WorkersLate as error:
            late = error.workers
        return Moved(record.name, record.stage, target, revision, held_seconds, late)

    def _record(self, phase: str) -> PhaseRecord:
        self._plan.phase(phase)
        self._reconciler.mend(phase)
        return self._control.phase(phase)

    def _stored(self, phase: str) -> PhaseRecord:
        self._plan.phase(phase)
        return self._control.phase(phase)

    def _replicate(self, phase: str) -> Callable[[], Replication]:
        return lambda: self.replication(phase)
