"""Guards and directions as the record says, also after a controller that stood still has acted late."""

import logging

from dual_write.replication import Replication
from migration.control import Control
from migration.errors import LeaseHeld
from migration.journal import Journal
from migration.lease import Lease, new_holder
from migration.stages import PhaseRecord, Stage

LOCK_SECONDS = 5.0

_log = logging.getLogger(__name__)


def straighten(control: Control, phase: str, replication: Replication) -> bool:
    """Lift a guard that stands on the writer, put back one that is missing on the other side (I1), and let
    changes flow from the writer alone (I7).

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
        _log.warning("phase %s: its data is not as its writer, the %s, asks", phase, record.writer)
        replication.unguard(record.writer, lock_timeout=LOCK_SECONDS)
        replication.guard(record.writer.other, record.writer, record.epoch, lock_timeout=LOCK_SECONDS)
        replication.close(record.writer, record.epoch)
        if _flows(record):
            replication.open(record.writer.other, record.epoch)
        return True


def _astray(record: PhaseRecord, replication: Replication) -> bool:
    if record.stage is Stage.OFF or all(mapping.follow for mapping in replication.mappings):
        return False
    writer = record.writer
    if replication.guarded(writer) or not replication.guarded(writer.other):
        return True
    return replication.opened(writer) or replication.opened(writer.other) is not _flows(record)


def _flows(record: PhaseRecord) -> bool:
    """Whether the writer's changes are carried to the other side."""
    return record.stage is not Stage.COMPLETE
