"""Ends what a dead controller left behind (invariant I7): in `serve`, in `relay`, and before every move."""

import logging
from collections.abc import Callable

from dual_write.replication import Replication
from migration.control import Control
from migration.errors import LeaseHeld
from migration.guards import straighten
from migration.journal import Journal, Run
from migration.lease import Lease, new_holder
from migration.procedure import TROUBLE, Procedure
from migration.stages import Stage

TICK_SECONDS = 0.5
"""With a lease of 3 s, a run is taken over within 5 s of its controller's death."""

_log = logging.getLogger(__name__)


class Reconciler:
    """Takes over each unfinished run whose lease has run out: cancels it, or finishes it past its commit."""

    def __init__(self, control: Control, resume: Callable[[Run], Procedure]) -> None:
        self._control = control
        self._resume = resume
        self._journal = Journal(control)

    def tick(self) -> list[Run]:
        """Try to end every unfinished run; returns those that ended. A failure is logged and tried again."""
        ended: list[Run] = []
        for run in self._journal.unfinished():
            try:
                ended += self._end(run)
            except LeaseHeld:
                continue
            except TROUBLE as error:
                _log.warning(
                    "the interrupted %s of phase %s cannot be ended yet: %s", run.kind, run.phase, error
                )
        return ended

    def straighten(self, replications: Callable[[str], Replication]) -> list[str]:
        """Put every phase's guards as its record says; the phases where they were not. Ask now and then."""
        mended: list[str] = []
        for phase, record in self._control.phases().items():
            if record.stage is Stage.OFF:
                continue
            try:
                replication = replications(phase)
                try:
                    mended += [phase] if straighten(self._control, phase, replication) else []
                finally:
                    replication.dispose()
            except TROUBLE as error:
                _log.warning("the guards of phase %s cannot be looked at: %s", phase, error)
        return mended

    def mend(self, phase: str) -> None:
        """End the phase's unfinished run now. Raises LeaseHeld while its controller lives."""
        for run in self._journal.unfinished():
            if run.phase == phase:
                self._end(run)

    def _end(self, run: Run) -> list[Run]:
        lease = Lease.acquire(self._control, run.phase, new_holder())
        try:
            current = self._journal.run(run.id)
            if current.outcome is not None:
                return []
            self._resume(current).resolve(lease, current)
        finally:
            lease.release()
        ended = self._journal.run(run.id)
        _log.warning("the interrupted %s of phase %s was %s", ended.kind, ended.phase, ended.outcome)
        return [ended]
