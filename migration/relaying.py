"""``strangler relay``: carries every phase's changes in the directions that its stage asks for."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from sqlalchemy.exc import SQLAlchemyError

from dual_write.errors import DataError
from dual_write.relay import Relay
from dual_write.replication import Replication
from flags.side import Side
from migration.check_watching import scheduled
from migration.errors import MigrationError
from migration.observations import Observations
from migration.serving import reconcile
from migration.stages import PhaseRecord, Stage
from migration.wiring import Wiring

_log = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0
BEAT_SECONDS = 1.0

MOVED_TO: Mapping[Stage, Side | None] = {
    Stage.OFF: None,
    Stage.DUAL_WRITE: Side.SERVICE,
    Stage.SHADOW: Side.SERVICE,
    Stage.RAMP: Side.SERVICE,
    Stage.LIVE: Side.MONOLITH,
    Stage.COMPLETE: None,
}
"""Where the changes of a phase's moved tables go; tables that follow the monolith go on following it."""


def directions(record: PhaseRecord, *, follows: bool) -> list[Side]:
    """The sides that changes are carried to now. ``follows``: some tables follow the monolith."""
    moved = MOVED_TO[record.stage]
    sides = [] if moved is None else [moved]
    if follows and record.stage is not Stage.OFF and Side.SERVICE not in sides:
        sides.append(Side.SERVICE)
    return sides


class PhaseRelay:
    """One phase's relay and its signs of life, each in a thread of its own."""

    def __init__(self, wiring: Wiring, phase: str, ending: threading.Event) -> None:
        self._wiring = wiring
        self._phase = phase
        self._ending = ending
        self._record = PhaseRecord(phase)
        self._observations = Observations(wiring.control)

    def threads(self) -> list[threading.Thread]:
        """The threads, not yet started; they end soon after the event is set."""
        return [
            threading.Thread(target=self._carry, name=f"relay {self._phase}"),
            threading.Thread(target=self._beat, name=f"heartbeat {self._phase}"),
        ]

    def _carry(self) -> None:
        while (replication := self._connected()) is not None:
            relay = Relay(replication, partial(self._directions, replication))
            try:
                relay.run(self._ending)
            except Exception:  # noqa: BLE001 - a relay that stops without a word is worse than one that tries on
                _log.exception("phase %s: the relay failed, and starts anew", self._phase)
                self._ending.wait(OUTAGE_SECONDS)
            finally:
                replication.dispose()

    def _beat(self) -> None:
        replication = self._connected()
        if replication is None:
            return
        while not self._ending.wait(BEAT_SECONDS):
            try:
                self._observe(replication)
            except (DataError, MigrationError, SQLAlchemyError) as error:
                _log.debug("phase %s: no sign of life: %s", self._phase, error)
        replication.dispose()

    def _observe(self, replication: Replication) -> None:
        for side in self._directions(replication):
            began = time.monotonic()
            lag, accounts = replication.lag(side), replication.accounts(side)
            self._observations.beat(self._phase, side, lag, accounts, ago=time.monotonic() - began)

    def _connected(self) -> Replication | None:
        """The phase's data once it can be reached; None when it is time to end."""
        told = ""
        while not self._ending.is_set():
            try:
                return self._wiring.controller.replication(self._phase)
            except (DataError, SQLAlchemyError) as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("phase %s: %s; trying again", self._phase, told)
                self._ending.wait(OUTAGE_SECONDS)
        return None

    def _directions(self, replication: Replication) -> Sequence[Side]:
        """By the stage as it is, or was last known to be: an inbox that was closed since refuses (I6)."""
        try:
            self._record = self._wiring.control.phase(self._phase)
        except (MigrationError, SQLAlchemyError) as error:
            _log.warning("phase %s: the control database does not answer: %s", self._phase, error)
            self._ending.wait(OUTAGE_SECONDS)
        return directions(self._record, follows=any(mapping.follow for mapping in replication.mappings))


def relay(
    wiring: Wiring, phases: Sequence[str], ending: threading.Event, on_ready: Callable[[], None]
) -> None:
    """Run one relay for each phase, and the reconciler, until ``ending`` is set.

    Raises ControlError when the control database cannot be opened.
    """
    wiring.control.revision()
    threads = [thread for phase in phases for thread in PhaseRelay(wiring, phase, ending).threads()]
    threads += [thread for phase in phases if (thread := scheduled(wiring, phase, ending))]
    threads.append(threading.Thread(target=reconcile, args=(wiring, ending), name="reconciler"))
    for thread in threads:
        thread.start()
    on_ready()
    for thread in threads:
        thread.join()
