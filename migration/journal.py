"""What controllers set out to do and how far they came: written before each act (invariant I7)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from migration.control import Control
from migration.errors import RunUnfinished
from migration.lease import Lease
from migration.schema.tables import journal, runs

FINISHED = "finished"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Run:
    """One walk through a procedure. ``intent`` is all that another process needs to end it.

    ``committed`` says that the point of no return is passed; ``outcome`` is None while unfinished.
    """

    id: str
    phase: str
    kind: str
    intent: Mapping[str, Any]
    actor: str
    committed: bool
    outcome: str | None
    started: float
    ended: float | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal: a step that was ``started`` or ``done``, or how the run ended."""

    run: str
    step: int
    name: str
    state: str
    detail: Mapping[str, Any]
    at: float


class Journal:
    """The journal in the control database. Each write proves, in its transaction, that the lease holds."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def begin(self, lease: Lease, kind: str, intent: Mapping[str, Any], actor: str) -> Run:
        """Open a run on the lease's phase. Raises RunUnfinished while an earlier one is open."""
        with self._control.write() as connection:
            lease.hold(connection)
            earlier = connection.execute(_open_runs().where(runs.c.phase == lease.name)).first()
            if earlier is not None:
                raise RunUnfinished(
                    f"an earlier {earlier.kind} of phase {lease.name!r} was interrupted and has not ended. "
                    "`strangler serve` and `strangler relay` end it within 5 s; then try again."
                )
            run = Run(
                id=secrets.token_hex(8),
                phase=lease.name,
                kind=kind,
                intent=dict(intent),
                actor=actor,
                committed=False,
                outcome=None,
                started=self._control.now(connection),
                ended=None,
            )
            connection.execute(
                insert(runs).values(
                    run=run.id,
                    phase=run.phase,
                    kind=kind,
                    committed=False,
                    intent=run.intent,
                    actor=actor,
                    started=run.started,
                )
            )
        return run

    def enter(
        self, lease: Lease, run: Run, step: int, name: str, *, done: tuple[str, Mapping[str, Any]] | None
    ) -> None:
        """Say that a step begins and, in the same write, that the one before it is ``done``."""
        with self._control.write() as connection:
            lease.hold(connection)
            if done is not None:
                self._write(connection, run, (step - 1, done[0], "done"), done[1])
            self._write(connection, run, (step, name, "started"), {})

    def commit(self, lease: Lease, run: Run) -> None:
        """Pass the point of no return: from here on the run can only be finished."""
        with self._control.write() as connection:
            lease.hold(connection)
            connection.execute(update(runs).where(runs.c.run == run.id).values(committed=True))

    def end(self, lease: Lease, run: Run, outcome: str, detail: Mapping[str, Any]) -> None:
        """Close the run as ``FINISHED`` or ``CANCELLED``."""
        with self._control.write() as connection:
            lease.hold(connection)
            at = self._control.now(connection)
            connection.execute(update(runs).where(runs.c.run == run.id).values(outcome=outcome, ended=at))
            self._write(connection, run, (0, run.kind, outcome), detail)

    def run(self, run_id: str) -> Run:
        """A run as it stands now."""
        with self._control.read() as connection:
            return _run(connection.execute(select(runs).where(runs.c.run == run_id)).one())

    def unfinished(self) -> list[Run]:
        """Runs that have neither finished nor been cancelled, the oldest first."""
        with self._control.read() as connection:
            return [_run(row) for row in connection.execute(_open_runs())]

    def last(self, phase: str, kind: str | None = None, limit: int = 20) -> list[Run]:
        """The phase's latest runs, the newest first."""
        query = select(runs).where(runs.c.phase == phase).order_by(runs.c.started.desc()).limit(limit)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        with self._control.read() as connection:
            return [_run(row) for row in connection.execute(query)]

    def entries(self, run_id: str) -> list[Entry]:
        """A run's lines, in order."""
        query = select(journal).where(journal.c.run == run_id).order_by(journal.c.id)
        with self._control.read() as connection:
            return [
                Entry(row.run, row.step, row.name, row.state, row.detail, row.at)
                for row in connection.execute(query)
            ]

    def _write(
        self,
        connection: Connection,
        run: Run,
        line: tuple[int, str, str],
        detail: Mapping[str, Any],
    ) -> None:
        step, name, state = line
        values = {
            "run": run.id,
            "phase": run.phase,
            "kind": run.kind,
            "step": step,
            "name": name,
            "state": state,
            "detail": dict(detail),
            "at": self._control.now(connection),
        }
        connection.execute(insert(journal), values)


def _open_runs() -> Any:
    return select(runs).where(runs.c.outcome.is_(None)).order_by(runs.c.started)


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.run,
        phase=row.phase,
        kind=row.kind,
        intent=row.intent,
        actor=row.actor,
        committed=row.committed,
        outcome=row.outcome,
        started=row.started,
        ended=row.ended,
    )
