"""The journal of walks through runbooks, in the control database: each act is there before it is done.

One walk goes on over as many runs as it takes. Whoever runs holds the lease of the phase's runbook, which is
not that of the phase: the moves that a run makes take theirs themselves.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Row, insert, select, update

from migration.control import Control
from migration.errors import LeaseHeld, WalkStopped
from migration.lease import TTL_SECONDS, Lease, new_holder
from migration.schema.tables import leases, walk_journal, walks
from migration.walk_states import Event, State, after, seen_dead

FINISHED = "finished"
_LOOK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what happened to a step, and the state that it came to. ``at`` is since 1970."""

    step: str
    event: Event
    state: State
    detail: Mapping[str, Any]
    actor: str
    at: float


@dataclass(frozen=True, slots=True)
class WalkStatus:
    """A walk as it stands: ``step`` and ``state`` of the last line, ``reason`` why it stopped there.

    A step that was being done by a run that has died is ``unknown``. ``alive``: a run is at work on it.
    """

    walk: str
    runbook: str
    outcome: str | None
    step: str | None
    state: State
    reason: str
    alive: bool
    started: float


def lease_name(phase: str) -> str:
    return f"runbook of {phase}"


class WalkJournal:
    """The journal of one walk, in the hands of one run."""

    def __init__(self, control: Control, walk: str, lease: Lease, actor: str) -> None:
        self.walk = walk
        self._control = control
        self._lease = lease
        self._actor = actor
        self.entries: list[Entry] = _entries(control, walk)

    @classmethod
    @contextmanager
    def opened(
        cls, control: Control, phase: str, runbook: str, actor: str, ttl: float = TTL_SECONDS
    ) -> Iterator[Self]:
        """Go on with the phase's unfinished walk, or begin one.

        The lease of a run that died is waited for. Raises WalkStopped while another run is alive.
        """
        with _leased(control, phase, ttl) as lease:
            with control.write() as connection:
                lease.hold(connection)
                walk = connection.scalar(
                    select(walks.c.walk).where(walks.c.phase == phase, walks.c.outcome.is_(None))
                )
                if walk is None:
                    walk = secrets.token_hex(8)
                    at = control.clock(connection)
                    connection.execute(
                        insert(walks).values(walk=walk, phase=phase, runbook=runbook, started=at)
                    )
            yield cls(control, walk, lease, actor)

    def state(self, step: str) -> State:
        """Where a step stands now."""
        return next((e.state for e in reversed(self.entries) if e.step == step), State.PENDING)

    def began(self, step: str) -> Entry | None:
        """The line with which the step was first about to be done, since it was reopened or undone."""
        found = None
        for entry in self.entries:
            if entry.step != step:
                continue
            if entry.event is Event.REOPENED or entry.state is State.UNDONE:
                found = None
            elif entry.state is State.DOING and found is None:
                found = entry
        return found

    def write(self, step: str, event: Event, detail: Mapping[str, Any] | None = None) -> State:
        """Journal what happened to a step; returns the state that it is in now. Raises LeaseLost."""
        state = after(self.state(step), event)
        with self._control.write() as connection:
            self._lease.hold(connection)
            at = self._control.now(connection)
            entry = Entry(step, event, state, dict(detail or {}), self._actor, at)
            connection.execute(
                insert(walk_journal).values(
                    walk=self.walk,
                    step=step,
                    event=event.value,
                    state=state.value,
                    detail=entry.detail,
                    actor=self._actor,
                    at=at,
                )
            )
            if event is Event.CONFIRMED:
                self._control.audit(
                    connection, self._actor, f"step {step} of the {self._lease.name} confirmed", {}, {}
                )
        self.entries.append(entry)
        return state

    def now(self) -> float:
        """Seconds since 1970 by the clock of the entries."""
        with self._control.read() as connection:
            return self._control.now(connection)

    def finish(self) -> None:
        """Every step is done."""
        with self._control.write() as connection:
            self._lease.hold(connection)
            connection.execute(
                update(walks)
                .where(walks.c.walk == self.walk)
                .values(outcome=FINISHED, ended=self._control.clock(connection))
            )


def last_walk(control: Control, phase: str) -> WalkStatus | None:
    """The phase's latest walk as it stands now; None when nobody ever walked its runbook."""
    query = select(walks).where(walks.c.phase == phase).order_by(walks.c.started.desc()).limit(1)
    with control.read() as connection:
        walk = connection.execute(query).one_or_none()
        if walk is None:
            return None
        now = control.now(connection)
        held = connection.execute(select(leases).where(leases.c.name == lease_name(phase))).one_or_none()
    alive = held is not None and held.holder is not None and held.expires_at > now
    entries = _entries(control, walk.walk)
    last = entries[-1] if entries else None
    state = State.PENDING if last is None else last.state
    return WalkStatus(
        walk=walk.walk,
        runbook=walk.runbook,
        outcome=walk.outcome,
        step=None if last is None else last.step,
        state=state if alive else seen_dead(state),
        reason="" if last is None else str(last.detail.get("reason", "")),
        alive=alive,
        started=walk.started,
    )


def states(control: Control, walk: str) -> Mapping[str, State]:
    """The state of each step that the walk has come to."""
    return {entry.step: entry.state for entry in _entries(control, walk)}


@contextmanager
def _leased(control: Control, phase: str, ttl: float) -> Iterator[Lease]:
    deadline = time.monotonic() + ttl * 1.2
    while True:
        try:
            lease = Lease.acquire(control, lease_name(phase), new_holder(), ttl)
            break
        except LeaseHeld as held:
            # A run that lives renews its lease long before it ends; one that died does not.
            if time.monotonic() > deadline:
                raise WalkStopped(
                    f"the runbook of phase {phase!r} is being walked by {held.holder}. "
                    "`strangler status --watch` shows how far it has come; end that process to take over."
                ) from held
            time.sleep(_LOOK_AGAIN_SECONDS)
    with lease:
        yield lease


def _entries(control: Control, walk: str) -> list[Entry]:
    query = select(walk_journal).where(walk_journal.c.walk == walk).order_by(walk_journal.c.id)
    with control.read() as connection:
        return [_entry(row) for row in connection.execute(query)]


def _entry(row: Row[Any]) -> Entry:
    return Entry(row.step, Event(row.event), State(row.state), row.detail, row.actor, row.at)
