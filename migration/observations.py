"""What was seen of a phase's data: consistency checks and the relay's heartbeats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from dual_write.replication import Accounts, Lag
from flags.side import Side
from migration.control import Control, upsert
from migration.schema.tables import check_runs, heartbeats


@dataclass(frozen=True, slots=True)
class CheckRun:
    """One consistency check. ``covers`` says in words what was compared; ``started`` is since 1970."""

    phase: str
    clean: bool
    rows: int
    findings: int
    covers: str
    started: float
    seconds: float
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What the relay last said of the direction towards ``to``, and how many seconds ago."""

    phase: str
    to: Side
    lag: Lag
    accounts: Accounts
    age_seconds: float


class Observations:
    """Observations in the control database. They change nothing that a worker serves by."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def add_check(self, check: CheckRun) -> None:
        """Remember a check; the gates ask for the last one."""
        with self._control.write() as connection:
            connection.execute(
                insert(check_runs).values(
                    phase=check.phase,
                    clean=check.clean,
                    rows=check.rows,
                    findings=check.findings,
                    covers=check.covers,
                    started=check.started,
                    seconds=check.seconds,
                    detail=dict(check.detail),
                )
            )

    def last_check(
        self, phase: str, scope: str | None = None, *, clean: bool | None = None
    ) -> tuple[CheckRun, float] | None:
        """The latest check and the seconds since it began; None when there was none.

        ``scope``: the latest whose detail says so; one whose detail says nothing compared everything.
        ``clean``: the latest that was, or was not.
        """
        said = func.coalesce(check_runs.c.detail["scope"].as_string(), "whole")
        query = (
            select(check_runs)
            .where(
                check_runs.c.phase == phase,
                *(() if scope is None else (said == scope,)),
                *(() if clean is None else (check_runs.c.clean == clean,)),
            )
            .order_by(check_runs.c.started.desc(), check_runs.c.id.desc())
            .limit(1)
        )
        with self._control.read() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            check = CheckRun(
                phase=row.phase,
                clean=row.clean,
                rows=row.rows,
                findings=row.findings,
                covers=row.covers,
                started=row.started,
                seconds=row.seconds,
                detail=row.detail,
            )
            return check, max(0.0, self._control.now(connection) - row.started)

    def beat(self, phase: str, to: Side, lag: Lag, accounts: Accounts, *, ago: float = 0.0) -> None:
        """The relay's sign of life for one direction, as it was ``ago`` seconds before now."""
        with self._control.write() as connection:
            values = {
                "phase": phase,
                "direction": to.value,
                "lag_changes": lag.changes,
                "lag_seconds": lag.seconds,
                "horizon_seconds": lag.horizon_seconds,
                "captured": accounts.captured,
                "applied": accounts.applied,
                "pending": accounts.pending,
                "parked": accounts.parked,
                "at": self._control.now(connection) - ago,
            }
            upsert(connection, heartbeats, values, key=("phase", "direction"))

    def heartbeats(self, phase: str) -> list[Heartbeat]:
        """The last sign of life of each direction."""
        query = select(heartbeats).where(heartbeats.c.phase == phase).order_by(heartbeats.c.direction)
        with self._control.read() as connection:
            now = self._control.now(connection)
            return [
                Heartbeat(
                    phase=row.phase,
                    to=Side(row.direction),
                    lag=Lag(row.lag_changes, row.lag_seconds, row.horizon_seconds),
                    accounts=Accounts(row.captured, row.applied, row.pending, row.parked),
                    age_seconds=max(0.0, now - row.at),
                )
                for row in connection.execute(query)
            ]
