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
    """Lift a guard that stands on a writer, put back one that is missing on a side that is none (I1), and let
    changes flow from the writers alone (I7).

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
        for side in Side:
            if _flows(record, side):
                replication.open(side, record.epoch)
        for side in Side:
            if side in record.writers:
                replication.unguard(side, lock_timeout=LOCK_SECONDS)
            else:
                replication.guard(side, record.writer, record.epoch, lock_timeout=LOCK_SECONDS)
            if not _flows(record, side):
                replication.close(side, record.epoch)
        return True


def _astray(record: PhaseRecord, replication: Replication) -> bool:
    if record.stage is Stage.OFF or all(mapping.follow for mapping in replication.mappings):
        return False
    return any(
        replication.guarded(side) is (side in record.writers)
        or replication.flows(side) is not _flows(record, side)
        for side in Side
    )


def _flows(record: PhaseRecord, to: Side) -> bool:
    """Whether changes are carried to a side: those of the other, where that writes."""
    return record.stage is not Stage.COMPLETE and to.other in record.writers
