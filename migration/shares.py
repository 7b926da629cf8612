"""The shares of a phase that stands in the ramp: how much of its reads and writes are the service's."""

from flags.percent import FULL
from flags.side import Side
from flags.store import EmbeddedStore
from migration import refusals
from migration.control import Control, read_phase
from migration.errors import StageError
from migration.stages import PhaseRecord, Stage
from migration.takebacks import raises, require_unlocked


class Shares:
    """Reads move by one write of their flag; how writes are split is read here, and changed by the switch."""

    def __init__(self, control: Control, flags: EmbeddedStore, actor: str) -> None:
        self._control = control
        self._flags = flags
        self._actor = actor

    def writes(self, record: PhaseRecord) -> int:
        """The share of the routing keys, in ‱, whose writes are the service's."""
        if not record.split:
            return FULL if record.writer is Side.SERVICE else 0
        return self._flags.snapshot().share(f"{record.name}.writes")

    def ramp_reads(self, phase: str, share: int) -> int:
        """Let the service answer this share (‱); the revision that says so. Raises StageError."""
        with self._control.change() as change:
            record = read_phase(change.connection, phase)
            if record.stage is not Stage.RAMP:
                raise StageError(refusals.not_in_ramp(record))
            before = self._flags.get(f"{phase}.reads", within=change.connection)
            if raises(before, share):
                require_unlocked(change.connection, phase)
            raised = self._flags.set_share(f"{phase}.reads", share, self._actor, within=change.connection)
            self._control.audit(
                change.connection,
                self._actor,
                f"ramp {phase}",
                {"reads": 0 if before is None else before.share},
                {"reads": share},
            )
        return raised

    def take_reads_back(self, phase: str) -> None:
        """Let the monolith answer every read, whatever the stage, until a share is set here again."""
        with self._control.change() as change:
            if self._flags.get(f"{phase}.reads", within=change.connection) is not None:
                self._flags.kill(f"{phase}.reads", self._actor, within=change.connection)
            self._control.audit(
                change.connection, self._actor, f"reads of {phase} taken back", {}, {"reads": 0}
            )
