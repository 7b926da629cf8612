"""Where an unfinished check stands, in the control database: a check that was killed is gone on with."""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from dual_write.changes import Mark
from dual_write.check_state import Memory, TableState, from_text, to_text
from dual_write.mapping import TableFlow
from flags.side import Side
from migration.control import Control, upsert
from migration.errors import LeaseHeld
from migration.lease import TTL_SECONDS, Lease, new_holder
from migration.schema.tables import check_progress

KEPT_SECONDS = 3600.0
"""A check that has stood still for longer is begun anew: what it saw is too old to sign."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Resumption:
    """The memory of a phase's check. ``started`` is since 1970, and lies in the past when it goes on.

    ``plan`` names what is compared: another plan's progress is not gone on with.
    """

    control: Control
    phase: str
    plan: str
    started: float
    resumed: bool

    def towards(self, to: Side) -> Memory:
        return _Direction(self, to)

    def forget(self) -> None:
        """The check has ended."""
        with self.control.write() as connection:
            connection.execute(delete(check_progress).where(check_progress.c.phase == self.phase))


@contextmanager
def resumption(control: Control, phase: str, plan: str, *, fresh: bool) -> Iterator[Resumption | None]:
    """The phase's memory, this process's alone; None while another process checks the phase, too.

    ``fresh`` forgets what an earlier process had come to.
    """
    lease = _lease(control, phase)
    if lease is None:
        yield None
        return
    with lease:
        mine = check_progress.c.phase == phase
        with control.write() as connection:
            now = control.now(connection)
            [(started, touched)] = connection.execute(
                select(func.min(check_progress.c.started), func.max(check_progress.c.at)).where(mine)
            )
            if fresh or started is None or now - touched > KEPT_SECONDS:
                connection.execute(delete(check_progress).where(mine))
                started = None
        resumed = started is not None
        yield Resumption(control, phase, plan, started if resumed else now, resumed)


def _lease(control: Control, phase: str) -> Lease | None:
    """One that a killed process held runs out by itself; that is waited for."""
    until = time.monotonic() + TTL_SECONDS + 1
    while True:
        try:
            return Lease.acquire(control, f"check of {phase}", new_holder())
        except LeaseHeld:
            if time.monotonic() > until:
                return None
            time.sleep(0.1)


class _Direction(Memory):
    def __init__(self, resumption: Resumption, to: Side) -> None:
        self._of = resumption
        self._to = to

    @property
    def started(self) -> datetime:
        return datetime.fromtimestamp(self._of.started, UTC)

    def mark(self, take: Callable[[], Mark | None]) -> Mark | None:
        name = f"mark {self._digest('')}"
        kept = self._read(name)
        if kept is None:
            mark = take()
            self._write(name, json.dumps(mark and [mark.source, mark.target]))
            return mark
        ids = json.loads(kept)
        return ids and Mark(*ids)

    def recall(self, flow: TableFlow) -> TableState | None:
        text = self._read(self._name(flow))
        return None if text is None else from_text(text)

    def keep(self, flow: TableFlow, state: TableState) -> None:
        try:
            self._write(self._name(flow), to_text(state))
        except SQLAlchemyError as error:
            _log.debug("check of %s: how far it has come could not be kept: %s", self._of.phase, error)

    def _read(self, name: str) -> str | None:
        query = select(check_progress.c.state).where(
            check_progress.c.phase == self._of.phase,
            check_progress.c.direction == self._to.value,
            check_progress.c.flow == name,
        )
        with self._of.control.read() as connection:
            text: str | None = connection.execute(query).scalar_one_or_none()
        return text

    def _write(self, name: str, text: str) -> None:
        with self._of.control.write() as connection:
            values = {
                "phase": self._of.phase,
                "direction": self._to.value,
                "flow": name,
                "started": self._of.started,
                "at": self._of.control.now(connection),
                "state": text,
            }
            upsert(connection, check_progress, values, key=("phase", "direction", "flow"))

    def _name(self, flow: TableFlow) -> str:
        return f"{flow.source} → {flow.target} {self._digest(repr(flow))}"

    def _digest(self, compared: str) -> str:
        return hashlib.sha256(f"{self._of.plan}\0{compared}".encode()).hexdigest()[:16]
