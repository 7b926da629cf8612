"""The replication of a phase that moves routes only: there is nothing to carry, guard or wait for."""

from collections.abc import Callable

from dual_write.drift import Drift
from dual_write.parking import Parked
from dual_write.replication import Accounts, BackfillProgress, Lag, Replication
from flags.side import Side


class Dataless(Replication):
    """Every step of a move succeeds at once."""

    def __init__(self) -> None:
        """Unlike a phase with tables, it needs no database."""
        self.mappings = ()
        self.faults = {}

    def install(self) -> None:
        """No table is captured."""

    def renew(self) -> None:
        """No table was captured."""

    def accept(self) -> None:
        """No table has a shape."""

    def drift(self, to: Side) -> list[Drift]:  # noqa: ARG002 - the surface's
        return []

    def uninstall(self) -> None:
        """No table was captured."""

    def retire(self) -> None:
        """No table was captured."""

    def open(self, to: Side, epoch: int) -> None:
        """No change flows."""

    def close(self, to: Side, epoch: int) -> None:
        """No change flows."""

    def backfill(self, progress: Callable[[BackfillProgress], None], stop: Callable[[], bool]) -> bool:  # noqa: ARG002 - the surface's
        return True

    def backfilled(self) -> bool:
        return True

    def step(self, to: Side, limit: int = 1000) -> int:  # noqa: ARG002 - the surface's
        return 0

    def drain(self, to: Side, deadline: float) -> int:  # noqa: ARG002 - the surface's
        return 0

    def lag(self, to: Side) -> Lag:  # noqa: ARG002 - the surface's
        return Lag(0, 0.0, 0.0)

    def accounts(self, to: Side) -> Accounts:  # noqa: ARG002 - the surface's
        return Accounts(0, 0, 0, 0)

    def parked(self, to: Side) -> list[Parked]:  # noqa: ARG002 - the surface's
        return []

    def guard(self, side: Side, owner: Side, epoch: int, lock_timeout: float) -> None:
        """No table is guarded."""

    def unguard(self, side: Side, lock_timeout: float) -> None:
        """No table was guarded."""

    def guarded(self, side: Side) -> bool:  # noqa: ARG002 - the surface's
        return False

    def refused(self, side: Side) -> int | None:  # noqa: ARG002 - the surface's
        return 0

    def flows(self, to: Side) -> bool:  # noqa: ARG002 - the surface's
        return True

    def hand_over_sequences(self, to: Side) -> None:
        """No identity value is given out."""

    def require_apart(self) -> None:
        """No row is numbered."""

    def number(self, *, apart: bool, lock_timeout: float) -> None:
        """No row is numbered."""

    def keep(self, side: Side) -> list[Parked]:  # noqa: ARG002 - the surface's
        return []

    def purge(self, limit: int = 0) -> int:  # noqa: ARG002 - the surface's
        return 0

    def dispose(self) -> None:
        """No connection is open."""
