"""Batches: what is read from a change log at once, on its way to be written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dual_write.adapter import Change, Position
from dual_write.apply import Failure, Work
from dual_write.conflict import Known
from dual_write.inbox import Inbox
from dual_write.rows import Row
from dual_write.view import View


@dataclass(frozen=True, slots=True)
class Step:
    """``passed`` entries of the log; ``raced`` when the batch has to be read anew: another process took it,
    or, with ``outdated``, a table has changed.
    """

    passed: int
    raced: bool = False
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that were read behind what the inbox had ``seen``, and the rows of their keys as of then.

    ``stuck`` are those whose table does not fit, by the ``view`` that it was read with; ``known``
    is what the source knew of the target's own changes, while both take writes. ``position`` is that
    of the last entry; ``full`` says that more are likely to follow; with ``retried_all`` no parked key that
    was due has been left for later.
    """

    seen: Inbox
    view: View
    known: Known | None
    works: Sequence[Work]
    stuck: Sequence[Failure]
    rows: Mapping[tuple[str, str], Row]
    entries: int
    position: Position
    full: bool
    retried_all: bool

    @property
    def after(self) -> Inbox:
        """Where the next batch begins."""
        return replace(self.seen, position=self.position)


def after(position: Position, changes: Sequence[Change], *, beyond_horizon: bool) -> Position:
    """A drain reads by id and leaves the place in reading order alone: transactions older than what it has
    applied may still write to these tables, after the next change of writer."""
    if not changes:
        return position
    last = changes[-1]
    if beyond_horizon:
        return replace(position, floor=last.id)
    return replace(position, xid=last.xid, id=last.id)
