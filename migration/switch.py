"""The fenced switch: who may write changes, and no write is lost or refused.

Cutover, rollback and every change of the share of writes are the same ten steps; only the sides differ. Each
side that wrote before is guarded and drained; each that writes afterwards is opened and freed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from dual_write.replication import Replication
from flags.side import Side
from flags.store import EmbeddedStore, StoredFlag
from migration import refusals
from migration.control import Control
from migration.errors import HoldExpired, MigrationError, StageError, WorkersLate
from migration.journal import Run
from migration.procedure import Detail, Procedure, Step
from migration.rechecking import Comparison
from migration.stages import Stage
from migration.workers import ControlWorkers

HOLD_SHARE = 0.8
"""The part of the hold limit that may pass before the point of no return; later steps need the rest."""
UNGUARD_SECONDS = 5.0
RELEASE_SECONDS = 2.0
CATCH_UP_SECONDS = 10.0

Recheck = Callable[[Replication, Side], AbstractContextManager[Comparison]]
"""Gets ready, before clients have to wait, to compare the keys that changed last in the rows that a side is
about to own."""


def asked() -> None:
    """The precheck of a rollback, which asks no gate, and of a run that goes on and has asked them."""


class Switch(Procedure):
    """Make ``to`` the writer of a phase that stands in ``source``, and leave it in ``target``.

    ``before`` are the sides that write until then. With ``split`` both sides write afterwards, each the
    routing keys that the flag says, and ``to`` those writes that have no key. ``hold_limit`` is in seconds:
    for so long the facade holds a client's write. ``shares`` are flags to set, by name and in ‱, in the same
    write that publishes the new writer.
    """

    kind = "switch"

    def __init__(
        self,
        control: Control,
        replicate: Callable[[], Replication],
        phase: str,
        actor: str,
        *,
        to: Side,
        before: Sequence[Side],
        split: bool = False,
        source: Stage,
        target: Stage,
        shares: Mapping[str, int],
        hold_limit: float,
        precheck: Callable[[], None],
        recheck: Recheck | None = None,
        epoch: int = 0,
        killed: Sequence[str] = (),
    ) -> None:
        super().__init__(control, replicate, phase, actor)
        self.to = to
        self.split = split
        self.before = tuple(before)
        self.after = tuple(Side) if split else (to,)
        self.hold_limit = hold_limit
        self.held_seconds: float | None = None
        self._source = source
        self._target = target
        self._shares = shares
        self._precheck = precheck
        self._recheck = recheck
        self._compare: Comparison | None = None
        self._opened = ExitStack()
        self._epoch = epoch
        self._killed = frozenset(killed)
        self._workers = ControlWorkers(control)
        self._held_at = 0.0
        self._published = 0

    @classmethod
    def resumed(cls, control: Control, replicate: Callable[[], Replication], run: Run) -> Self:
        """The switch that another process began, from what it journaled."""
        intent = run.intent
        return cls(
            control,
            replicate,
            run.phase,
            run.actor,
            to=Side(intent["to"]),
            before=[Side(side) for side in intent["before"]],
            split=intent["split"],
            source=Stage(intent["source"]),
            target=Stage(intent["target"]),
            shares=intent["shares"],
            hold_limit=intent["hold_limit"],
            precheck=asked,
            epoch=intent["epoch"],
            killed=intent.get("killed", ()),
        )

    def intent(self) -> Detail:
        record = self.control.phase(self.phase)
        if record.stage is not self._source or record.writers != self.before:
            raise StageError(
                f"phase {self.phase!r} has moved meanwhile: it is in {record.stage} and its writer is the "
                f"{' and the '.join(record.writers)}. Look at `strangler status` and decide anew."
            )
        self._epoch = record.epoch + 1
        return {
            "to": self.to,
            "before": list(self.before),
            "split": self.split,
            "source": self._source,
            "target": self._target,
            "shares": dict(self._shares),
            "hold_limit": self.hold_limit,
            "epoch": self._epoch,
            "killed": sorted(self._killed),
        }

    def precheck(self) -> Detail:
        """Ask the gates, which raise GateClosed, and catch up: what is left must fit into the hold."""
        flags = EmbeddedStore(self.control.engine).list()
        self._killed = frozenset(flag.name for flag in flags if flag.killed and flag.name in self._shares)
        self._precheck()
        if self.split:
            self.replication.require_apart()
            if silent := [worker.status for worker in self._workers.silent_workers()]:
                raise StageError(refusals.silent(self.phase, silent))
        ends = [side.other for side in self.before]
        if self._recheck is not None:
            gaining = Side.SERVICE if self.split else self.to
            self._compare = self._opened.enter_context(self._recheck(self.replication, gaining))
        until = time.monotonic() + CATCH_UP_SECONDS
        caught_up = 0
        while time.monotonic() < until and (passed := sum(map(self.replication.step, ends))):
            caught_up += passed
        parked = [entry for end in ends for entry in self.replication.parked(end) if entry.conflict]
        if parked:
            raise StageError(refusals.conflicts(self.phase, parked))
        return {"caught_up": caught_up}

    def hold(self) -> Detail:
        """Put up the fence: workers keep new writes waiting and finish those they have sent."""
        self._held_at = time.monotonic()
        with self.control.change() as change:
            self.lease.hold(change.connection)
            self.control.amend(change, self.phase, self.actor, "writes held", hold=self.run.id)
        self._workers.wait_for_fence(self.phase, change.revision, self._deadline, silent_too=self.split)
        return {"revision": change.revision}

    def guard(self) -> Detail:
        """Let the database refuse what bypasses the facade, and wait for writes that are still open in it."""
        for side in self.before:
            self.replication.guard(side, self.to, self._epoch, lock_timeout=self._remaining())
        return {"sides": self.before}

    def drain(self) -> Detail:
        """Carry over everything that was written; after the guard nothing can follow."""
        self._remaining()
        applied = sum(self.replication.drain(side.other, self._deadline) for side in self.before)
        for side in self.before:
            self.replication.close(side.other, self._epoch - 1)
        return {"applied": applied}

    def hand_over(self) -> Detail:
        """Let identity values go on without meeting what was given out, and compare what changed last."""
        if self._numbers_move:
            self.replication.number(apart=self.split, lock_timeout=self._remaining())
        self._remaining()
        if not self.split:
            self.replication.hand_over_sequences(self.to)
        if self._compare is None:
            return {"rechecked": False}
        findings = self._compare(self._deadline)
        if findings:
            shown = "; ".join(findings[:5])
            raise MigrationError(
                f"{len(findings)} rows differ between the two sides: {shown}. "
                f"Run `strangler check {self.phase} --repair`."
            )
        return {"rechecked": True}

    def commit(self) -> Detail:
        """Journal the point of no return, unless clients have waited too long already."""
        self._remaining()
        return super().commit()

    def reverse(self) -> Detail:
        """Let changes flow from whoever writes now, and let them write."""
        self._let_write(self.after, self._epoch)
        return {"sides": self.after}

    def publish(self) -> Detail:
        """Writer, epoch, stage and flags in one write, which also takes the fence down."""
        with self.control.change() as change:
            self.lease.hold(change.connection)
            self.control.amend(
                change,
                self.phase,
                self.actor,
                f"the {' and the '.join(self.after)} writes",
                stage=self._target,
                writer=self.to,
                split=self.split,
                epoch=self._epoch,
                hold=None,
            )
            flags = EmbeddedStore(self.control.engine)
            revisions = [
                flags.set_share(name, share, self.actor, within=change.connection)
                for name, share in self._shares.items()
                if not self._killed_meanwhile(flags.get(name, within=change.connection))
            ]
        self._published = max([change.revision, *revisions])
        return {"revision": self._published, "epoch": self._epoch}

    def release(self) -> Detail:
        """Wait until the workers send what they held to the new writer; one that is late is only named."""
        late: Sequence[str] = ()
        try:
            self._workers.wait_for_revision(self._published, time.monotonic() + RELEASE_SECONDS)
        except WorkersLate as error:
            late = error.workers
        if self._held_at:
            self.held_seconds = time.monotonic() - self._held_at
        return {"held_seconds": self.held_seconds, "late_workers": list(late)}

    def cancel(self) -> None:
        """Let the old writer write on. Data is touched only if the switch had come to touch it."""
        begun = {entry.name for entry in self.journal.entries(self.run.id)}
        if "hand_over" in begun and self._numbers_move:
            self.replication.number(apart=len(self.before) > 1, lock_timeout=UNGUARD_SECONDS)
        if "guard" in begun:
            self._let_write(self.before, self._epoch - 1)
        with self.control.change() as change:
            self.lease.hold(change.connection)
            self.control.amend(change, self.phase, self.actor, "switch cancelled", hold=None)

    def _let_write(self, writers: Sequence[Side], epoch: int) -> None:
        # Every direction is open before anybody writes: one that is closed looks for no conflict.
        for side in writers:
            self.replication.open(side.other, epoch)
        for side in writers:
            if self.replication.guarded(side):
                self.replication.unguard(side, lock_timeout=UNGUARD_SECONDS)

    def _killed_meanwhile(self, flag: StoredFlag | None) -> bool:
        """Whether somebody killed the flag while the switch was under way: that holds."""
        return flag is not None and flag.killed and flag.name not in self._killed

    @property
    def _numbers_move(self) -> bool:
        return self.split or len(self.before) > 1

    def _let_go(self) -> None:
        self._opened.close()
        super()._let_go()

    @property
    def _deadline(self) -> float:
        return self._held_at + self.hold_limit * HOLD_SHARE

    def _remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise HoldExpired(
                f"clients' writes were held for {self.hold_limit * HOLD_SHARE:.1f} s of at most "
                f"{self.hold_limit:g} s, and the switch was not ready. Try again when the lag is small and "
                "no long transaction is open; or raise facade.timeouts.hold in the plan."
            )
        return left

    steps = (
        Step("precheck", precheck),
        Step("lease", Procedure.take_lease),
        Step("hold", hold),
        Step("guard", guard),
        Step("drain", drain),
        Step("hand_over", hand_over),
        Step("commit", commit),
        Step("reverse", reverse),
        Step("publish", publish),
        Step("release", release),
    )
