"""From where a check reads: the databases themselves, a snapshot of each, or standbys of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from dual_write.check_pace import Manners, Pace
from dual_write.digest_reader import SideReader
from dual_write.standby import await_replay

Sides = tuple[SideReader, SideReader]
"""The source's reader and the target's."""

_REPLAY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Vantage:
    """From where a check walks through the tables.

    ``snapshot``: each side as of one moment, in one transaction as long as the check. ``source`` and
    ``target`` are standbys of the databases. What differs there is judged by the databases themselves.
    """

    snapshot: bool = False
    source: sa.Engine | None = None
    target: sa.Engine | None = None

    def __str__(self) -> str:
        """In words; empty for the databases themselves."""
        standbys = [role for role, engine in (("source", self.source), ("target", self.target)) if engine]
        told = ["each side in one snapshot"] if self.snapshot else []
        told += [f"from a replica of the {' and of the '.join(standbys)}"] if standbys else []
        return ", ".join(told)


DIRECT = Vantage()


@contextmanager
def both_sides(source: sa.Engine, target: sa.Engine, manners: Manners) -> Iterator[Sides]:
    """Readers of the databases themselves, at one pace."""
    pace, seconds = Pace(manners.share), manners.statement_seconds
    with (
        SideReader(source, "source", pace, seconds) as ours,
        SideReader(target, "target", pace, seconds) as theirs,
    ):
        yield ours, theirs


@contextmanager
def walked_sides(
    source: sa.Engine, target: sa.Engine, direct: Sides, manners: Manners, vantage: Vantage
) -> Iterator[Sides]:
    """Readers for the walk, at the pace of ``direct``. A standby shows all that its database shows now."""
    if vantage == DIRECT:
        yield direct
        return
    for primary, standby in ((source, vantage.source), (target, vantage.target)):
        if standby is not None:
            await_replay(primary, standby, _REPLAY_SECONDS)
    pace, seconds, snapshot = direct[0].pace, manners.statement_seconds, vantage.snapshot
    with (
        SideReader(vantage.source or source, "source", pace, seconds, snapshot=snapshot) as ours,
        SideReader(vantage.target or target, "target", pace, seconds, snapshot=snapshot) as theirs,
    ):
        for side in (ours, theirs):
            side.read(("SELECT 1", ()))  # both snapshots are taken here
        yield ours, theirs
