"""Conflicts: a row that both sides changed, each without the other's change, while both take writes.

Only then two streams flow against each other. Whatever is about to be written to the target must include what
the target's own clients wrote there; if it does not, the key is parked on both sides instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dual_write import inbox as inboxes
from dual_write import parking
from dual_write.adapter import Adapter, Position
from dual_write.carrier import Carrier
from dual_write.errors import DataError
from dual_write.rows import Row, Session


class ConflictError(DataError):
    """Neither side's row may silently win; its text is what the parked key is known by."""

    def __init__(self) -> None:
        super().__init__(parking.CONFLICT)


@dataclass(frozen=True, slots=True)
class Known:
    """What the source knew of the target's own changes, no later than when its rows were read."""

    position: Position
    parked: frozenset[tuple[str, str]]


class Opposite:
    """The stream against a channel's: from its ``target`` to its ``source``."""

    def __init__(self, stream: str, source: Adapter, target: Adapter) -> None:
        self._stream = stream
        self._source = source
        self._target = target

    def known(self, here: Session) -> Known | None:
        """To be asked before the source's rows are read; None while nothing flows against the channel."""
        inbox = inboxes.read(self._source, here, self._stream)
        if not inbox.open:
            return None
        parked = parking.read(self._source, here, self._stream)
        return Known(inbox.position, frozenset((entry.table, entry.key) for entry in parked))

    def require_known(self, there: Session, known: Known, carrier: Carrier, keys: Sequence[Row]) -> None:
        """Raises ConflictError when a row of the target under ``keys`` holds what the source did not know.

        To be asked while this transaction has those rows locked: a change that comes later is made in sight
        of what is written now, and is no conflict.
        """
        table = carrier.flow.target
        stored = carrier.writer.stored(there, keys)
        if any((table, key) in known.parked for key in stored) or self._target.logged(
            there, self._stream, known.position, table, stored
        ):
            raise ConflictError

    def require_table_known(self, there: Session, known: Known, table: str) -> None:
        """The same for a whole table, before what the source has no more is taken out of it."""
        if any(table == parked for parked, _ in known.parked) or self._target.logged(
            there, self._stream, known.position, table, None
        ):
            raise ConflictError
