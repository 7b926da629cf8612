"""``strangler relay``: carries every phase's changes in the directions that its stage asks for."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy.exc import SQLAlchemyError

from dual_write.errors import DataError
from dual_write.relay import Relay
from dual_write.replication import Replication
from flags.side import Side
from migration.check_watching import scheduled
from migration.errors import MigrationError
from migration.observations import Observations
from migration.reconciling import reconcile
from migration.relay_metrics import Account, RelayMetrics, Seen, exposed
from migration.stages import PhaseRecord, Stage
from migration.stray_writes import note_refused
from migration.wiring import Wiring

_log = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0
BEAT_SECONDS = 1.0
LONGEST_BEAT_SECONDS = 5.0
BEAT_SHARE = 10
"""The log's entries are counted for it: a long backlog is counted less often, for a tenth of the time."""
FAULT_SECONDS = 2.0

STILL = frozenset({Stage.OFF, Stage.COMPLETE})
"""Where no change of a phase's moved tables flows; tables that follow the monolith go on following it."""


def directions(record: PhaseRecord, *, follows: bool) -> list[Side]:
    """The sides that changes are carried to now. ``follows``: some tables follow the monolith."""
    sides = [] if record.stage in STILL else [writer.other for writer in record.writers]
    if follows and record.stage is not Stage.OFF and Side.SERVICE not in sides:
        sides.append(Side.SERVICE)
    return sides


class _Mended(Exception):  # noqa: N818 - no error: a reason to begin again
    """The schema may fit the plan again."""


class PhaseRelay:
    """One phase's relay and its signs of life, each in a thread of its own."""

    def __init__(self, wiring: Wiring, phase: str, ending: threading.Event) -> None:
        self._wiring = wiring
        self._phase = phase
        self._ending = ending
        self._record = PhaseRecord(phase)
        self._observations = Observations(wiring.control)
        self._relay: Relay | None = None
        self._seen: Mapping[Side, Seen] = {}

    def threads(self) -> list[threading.Thread]:
        """The threads, not yet started; they end soon after the event is set."""
        return [
            threading.Thread(target=self._carry, name=f"relay {self._phase}"),
            threading.Thread(target=self._beat, name=f"heartbeat {self._phase}"),
        ]

    def account(self) -> Account:
        """What the phase's metrics are made of."""
        relay = self._relay
        if relay is None:
            return Account(self._phase)
        return Account(self._phase, self._seen, relay.batches, relay.failures, relay.silent_seconds)

    def _carry(self) -> None:
        while (replication := self._connected()) is not None:
            try:
                with self._wiring.carrying(replication) as step:
                    self._relay = Relay(
                        replication, self._until_mended(replication), self._way(replication, step)
                    )
                    self._relay.run(self._ending)
            except _Mended:
                _log.warning("phase %s: its tables are looked at again", self._phase)
            except Exception:  # noqa: BLE001 - a relay that stops without a word is worse than one that tries on
                _log.exception("phase %s: the relay failed, and starts anew", self._phase)
                self._ending.wait(OUTAGE_SECONDS)
            finally:
                replication.dispose()

    def _beat(self) -> None:
        replication = self._connected()
        if replication is None:
            return
        took = 0.0
        while not self._ending.wait(min(max(BEAT_SECONDS, took * BEAT_SHARE), LONGEST_BEAT_SECONDS)):
            began = time.monotonic()
            try:
                self._observe(replication)
            except (DataError, MigrationError, SQLAlchemyError) as error:
                _log.debug("phase %s: no sign of life: %s", self._phase, error)
            took = time.monotonic() - began
        replication.dispose()

    def _observe(self, replication: Replication) -> None:
        """A sign of life is as old as the last turn that both databases answered: the way is open, or not."""
        seen: dict[Side, Seen] = {}
        for side in self._directions(replication):
            began = time.monotonic()
            lag, accounts = replication.lag(side), replication.accounts(side)
            seen[side] = Seen(lag, accounts, replication.backfilled_rows(side))
            if self._relay is not None:
                ago = max(time.monotonic() - began, self._relay.silent_seconds)
                self._observations.beat(self._phase, side, lag, accounts, ago=ago)
        self._seen = seen
        if self._record.stage in {Stage.LIVE, Stage.COMPLETE}:
            refused = replication.refused(Side.MONOLITH)
            if refused is not None:
                note_refused(self._wiring.control, self._phase, refused)

    def _connected(self) -> Replication | None:
        """The phase's data once it can be reached; None when it is time to end."""
        told = ""
        while not self._ending.is_set():
            try:
                return self._wiring.standing(self._phase)
            except (DataError, SQLAlchemyError) as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("phase %s: %s; trying again", self._phase, told)
                self._ending.wait(OUTAGE_SECONDS)
        return None

    def _until_mended(self, replication: Replication) -> Callable[[], Sequence[Side]]:
        """As `_directions`; while tables have faults, raises _Mended from time to time, to map them anew."""
        began = time.monotonic()

        def directions() -> Sequence[Side]:
            if replication.faults and time.monotonic() - began > FAULT_SECONDS:
                raise _Mended
            return self._directions(replication)

        return directions

    def _way(self, replication: Replication, step: Callable[[Side], int]) -> Callable[[Side], int]:
        """``step``, but while both sides take writes directly: only so is a conflict noticed for certain."""

        def carry(to: Side) -> int:
            return replication.step(to) if self._record.split else step(to)

        return carry

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

    Raises ControlError when the control database cannot be opened, AddressError when the plan's address for
    metrics is taken, and MigrationError when a secret cannot be read.
    """
    wiring.plan.brokers()
    wiring.control.revision()
    relays = [PhaseRelay(wiring, phase, ending) for phase in phases]
    threads = [thread for each in relays for thread in each.threads()]
    threads += [thread for phase in phases if (thread := scheduled(wiring, phase, ending))]
    threads.append(threading.Thread(target=reconcile, args=(wiring, ending), name="reconciler"))
    metrics = RelayMetrics([each.account for each in relays])
    with exposed(wiring.plan.relay.metrics, metrics):
        for thread in threads:
            thread.start()
        on_ready()
        for thread in threads:
            thread.join()
