"""The guard: watches the reads of every phase in the stages ramp and live, and takes them back by itself.

It runs in `strangler serve`, in one process of all hosts at a time; when that dies another takes over. What a
person did by hand comes first: it only ever takes back what is there, and only raises what it set itself.
"""

import logging
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from flags.store import EmbeddedStore
from migration.control import Control, read_phases
from migration.errors import LeaseHeld
from migration.lease import Lease, new_holder
from migration.ramp_steps import RampSteps
from migration.ramp_verdict import Judgement
from migration.ramp_watch import ERROR_WINDOWS, LATENCY_WINDOWS, LONGEST, TICK_SECONDS, Watch
from migration.read_answers import Answers
from migration.read_traffic import Told, compact, pair_of, told_since
from migration.takebacks import WATCHED, Takeback, Takebacks, judged_since
from migration.wiring import Wiring

LEASE = ":guard"
"""No phase has a colon in its name."""
_AGAIN_SECONDS = 2.0
"""Workers' rows may become visible in another order than their times: so much is read again."""
_STEP_SECONDS = 1.0
_COMPACT_SECONDS = 60.0
_log = logging.getLogger(__name__)


def guard(wiring: Wiring, ending: threading.Event) -> None:
    """Watch until ``ending`` is set, whenever no other process does."""
    held: Lease | None = None
    watching: RampGuard | None = None
    while not ending.wait(TICK_SECONDS):
        try:
            if held is None or watching is None:
                held = Lease.acquire(wiring.control, LEASE, new_holder())
                watching = RampGuard(wiring, held)
            watching.tick()
        except LeaseHeld:
            ending.wait(TICK_SECONDS * 5)
        except Exception as error:  # noqa: BLE001 - the loop outlives any outage of a database
            _log.warning("the guard cannot watch: %s", error)
            if held is not None:
                held.release()
            held = watching = None
            ending.wait(TICK_SECONDS * 5)
    if held is not None:
        held.release()


class RampGuard:
    """The watch under a lease. One thread."""

    def __init__(self, wiring: Wiring, lease: Lease) -> None:
        self._wiring = wiring
        self._control: Control = wiring.control
        self._lease = lease
        self._actor = f"guard@{socket.gethostname()}"
        self._takebacks = Takebacks(wiring.control)
        self._watches: dict[str, Watch] = {}
        self._heard = 0.0
        self._stepped = self._compacted = 0.0

    def tick(self) -> list[Takeback]:
        """One look at every phase: take back first, and only then anything else. Raises LeaseLost."""
        made = []
        for phase, found in self._failures():
            takeback = self._take_back(phase, found)
            if takeback is not None:
                made.append(takeback)
                _log.warning("reads of phase %s are taken back: %s", phase, found.reason)
        now = time.monotonic()
        if made or now - self._stepped >= _STEP_SECONDS:
            self._stepped = now
            for takeback in self._takebacks.without_evidence():
                self._takebacks.add_evidence(takeback, evidence(self._control, takeback))
            RampSteps(self._wiring.plan, self._control, self._flags, self._actor).go_on(self._lease)
        if now - self._compacted >= _COMPACT_SECONDS:
            self._compacted = now
            compact(self._control)
        return made

    def _take_back(self, phase: str, found: Judgement) -> Takeback | None:
        chosen = phase in self._wiring.plan.cohorts
        return self._takebacks.take_back(self._lease, self._flags, phase, found, self._actor, chosen=chosen)

    @property
    def _flags(self) -> EmbeddedStore:
        return self._wiring.flags

    def _failures(self) -> list[tuple[str, Judgement]]:
        guarded = {phase.name: phase for phase in self._wiring.plan.phases if phase.guard.enabled}
        with self._control.read() as connection:
            records = read_phases(connection)
            watched = [name for name in guarded if name in records and records[name].stage in WATCHED]
            self._watches = {name: self._watches.get(name, Watch()) for name in watched}
            if not watched:
                return []
            now = self._control.now(connection)
            heard = self._hear(connection, now)
            since = {name: judged_since(connection, records[name]) for name in watched}
        failures = []
        for name, watch in self._watches.items():
            watch.hear([each for each in heard if each.phase == name], now)
            found = watch.failure(guarded[name].guard, now, since[name])
            if found is not None:
                failures.append((name, found))
        return failures

    def _hear(self, connection: Connection, now: float) -> list[Told]:
        after = max(now - LONGEST, self._heard - _AGAIN_SECONDS)
        self._heard = now
        return told_since(connection, list(self._watches), after)


def evidence(control: Control, takeback: Takeback) -> Mapping[str, Any]:
    """What both sides had answered when it was made, by the length of the window in seconds."""
    with control.read() as connection:
        told = told_since(connection, [takeback.phase], takeback.at - LONGEST)
    before = [each for each in told if each.at <= takeback.at]
    windows = sorted({*ERROR_WINDOWS, *LATENCY_WINDOWS})
    return {
        f"{window:g}": _figures([each for each in before if each.at > takeback.at - window])
        for window in windows
    }


def _figures(told: list[Told]) -> dict[str, Any]:
    pair = pair_of(told)
    return {"service": _side(pair.service), "monolith": _side(pair.monolith)}


def _side(answers: Answers) -> dict[str, Any]:
    buckets = {str(bound): number for bound, number in sorted(answers.milliseconds.items())}
    return {"answered": answers.answered, "failed": answers.failed, "milliseconds": buckets}
