"""Guards and directions as the record says, also after a controller that stood still has acted late."""

import logging

from dual_write.replication import Replication
from flags.side import Side
from migration.control import Control
from migration.errors import LeaseHeld
from migration.journal import Journal
from migration.lease import Lease, new_holder
from migration.stages import PhaseRecord, Stage

LOCK_SECONDS = 5.0

_log = logging.getLogger(__name__)


def straighten(control: Control, phase: str, replication: Replication) -> bool:
    """Lift a guard that stands on a writer, put back one that is missing on a side that is none (I1), and
    open the directions of the writers' changes.

    A lease keeps two controllers apart, but not a database from a command that was on its way when the
    lease was lost. Does nothing while a run is open. Returns whether anything had to be put right.
    """
    record = control.phase(phase)
    if not _astray(record, replication):
        return False
    try:
        lease = Lease.acquire(control, phase, new_holder())
    except LeaseHeld:
        return False
    with lease:
        record = control.phase(phase)
        if any(run.phase == phase for run in Journal(control).unfinished()):
            return False
        if not _astray(record, replication):
            return False
        writing = " and the ".join(record.writers)
        _log.warning("phase %s: guards or directions are not as they must be: the %s writes", phase, writing)
        for writer in record.writers:
            if record.stage is not Stage.COMPLETE:
                replication.open(writer.other, record.epoch)
        for side in Side:
            if side in record.writers:
                replication.unguard(side, lock_timeout=LOCK_SECONDS)
            else:
                replication.guard(side, record.writer, record.epoch, lock_timeout=LOCK_SECONDS)
        return True


def _astray(record: PhaseRecord, replication: Replication) -> bool:
    if record.stage is Stage.OFF or all(mapping.follow for mapping in replication.mappings):
        return False
    if any(replication.guarded(side) is (side in record.writers) for side in Side):
        return True
    return record.stage is not Stage.COMPLETE and not all(
        replication.flows(writer.other) for writer in record.writers
    )
