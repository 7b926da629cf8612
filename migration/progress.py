"""How far replication has come, as the facade's workers need to know it."""

import time
from collections.abc import Mapping

from sqlalchemy import select

from flags.side import Side
from migration.control import Control
from migration.schema.tables import heartbeats

SKEW_SECONDS = 0.5
"""How far the clocks of this host and of the databases may be apart."""


class ControlProgress:
    """The facade's ReplicationProgress, from the relay's heartbeats."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def passed(self) -> Mapping[tuple[str, Side], float]:
        """When a heartbeat was measured, less the age of the oldest change that waited then.

        A direction with parked changes is left out: how old they are is not known.
        """
        with self._control.read() as connection:
            ahead = time.time() - self._control.now(connection)
            rows = connection.execute(select(heartbeats).where(heartbeats.c.parked == 0)).all()
        return {
            (row.phase, Side(row.direction)): row.at + ahead - row.lag_seconds - SKEW_SECONDS for row in rows
        }
