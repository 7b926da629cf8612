"""The moves that touch data without changing the writer: on to dual_write, back to off, and complete."""

from collections.abc import Callable

from dual_write.replication import Replication
from flags.side import Side
from flags.store import EmbeddedStore
from migration.control import Control
from migration.errors import StageError
from migration.procedure import Detail, Procedure, Step
from migration.stages import Stage

LOCK_SECONDS = 5.0


class Move(Procedure):
    """A move from ``source`` to ``target``, with the phase's data at hand."""

    source: Stage
    target: Stage

    def intent(self) -> Detail:
        record = self.control.phase(self.phase)
        if record.stage is not self.source:
            raise StageError(
                f"phase {self.phase!r} has moved meanwhile: it is in {record.stage}. "
                "Look at `strangler status` and decide anew."
            )
        return {"source": self.source, "target": self.target}

    def publish(self) -> Detail:
        """Tell the workers and the relay."""
        with self.control.change() as change:
            self.lease.hold(change.connection)
            self.control.amend(change, self.phase, self.actor, f"to {self.target}", stage=self.target)
        return {"revision": change.revision}


class Installation(Move):
    """off → dual_write: capture on both sides, the service's tables guarded, changes let through to them."""

    kind = "installation"
    source = Stage.OFF
    target = Stage.DUAL_WRITE

    def connect(self) -> Detail:
        """Before anything is begun: tables that do not fit the plan leave nothing to be ended."""
        return {"tables": len(self.replication.mappings)}

    def install(self) -> Detail:
        """Capture first, so that no change made during the backfill is missed."""
        self.replication.install()
        return {}

    def guard(self) -> Detail:
        """Only the monolith writes until the switch."""
        epoch = self.control.phase(self.phase).epoch
        self.replication.guard(Side.SERVICE, Side.MONOLITH, epoch, lock_timeout=LOCK_SECONDS)
        return {"side": Side.SERVICE}

    def let_through(self) -> Detail:
        """Let changes be applied to the service."""
        self.replication.open(Side.SERVICE, self.control.phase(self.phase).epoch)
        return {}

    def cancel(self) -> None:
        self.replication.uninstall()

    steps = (
        Step("connect", connect),
        Step("lease", Procedure.take_lease),
        Step("install", install),
        Step("guard", guard),
        Step("open", let_through),
        Step("commit", Procedure.commit),
        Step("publish", Move.publish),
    )


class Removal(Move):
    """dual_write → off: everything that the installation put into the two databases is taken out again."""

    kind = "removal"
    source = Stage.DUAL_WRITE
    target = Stage.OFF

    def remove(self) -> Detail:
        """After the stage is published, so that the relay does not miss what goes away."""
        self.replication.uninstall()
        return {}

    def cancel(self) -> None:
        """Nothing was done before the commit."""

    steps = (
        Step("lease", Procedure.take_lease),
        Step("commit", Procedure.commit),
        Step("publish", Move.publish),
        Step("remove", remove),
    )


class Completion(Move):
    """live → complete: the way back ends, and the monolith's tables stay guarded for good."""

    kind = "completion"
    source = Stage.LIVE
    target = Stage.COMPLETE

    def __init__(
        self,
        control: Control,
        replicate: Callable[[], Replication],
        phase: str,
        actor: str,
        *,
        precheck: Callable[[], None],
    ) -> None:
        super().__init__(control, replicate, phase, actor)
        self._precheck = precheck

    def precheck(self) -> Detail:
        """Ask the gates; nothing is touched. Raises GateClosed."""
        self._precheck()
        return {}

    def guard(self) -> Detail:
        """The switch guarded the monolith's tables already; what was lifted by hand since is put back."""
        epoch = self.control.phase(self.phase).epoch
        self.replication.guard(Side.MONOLITH, Side.SERVICE, epoch, lock_timeout=LOCK_SECONDS)
        return {"side": Side.MONOLITH}

    def forget_flags(self) -> Detail:
        """In this stage nobody asks them any more: reads and writes are the service's."""
        with self.control.change() as change:
            self.lease.hold(change.connection)
            EmbeddedStore(self.control.engine).remove(self.phase, change.connection)
        return {"revision": change.revision}

    def retire(self) -> Detail:
        """Stop what flowed back. Tables that follow the monolith go on following it."""
        self.replication.close(Side.MONOLITH, self.control.phase(self.phase).epoch)
        self.replication.retire()
        return {}

    def cancel(self) -> None:
        """The guard was there before, and stays."""

    steps = (
        Step("precheck", precheck),
        Step("lease", Procedure.take_lease),
        Step("guard", guard),
        Step("commit", Procedure.commit),
        Step("publish", Move.publish),
        Step("forget_flags", forget_flags),
        Step("retire", retire),
    )
