"""The checks of what is installed now: which of them vouches for a phase, and from where one may go on."""

from collections.abc import Mapping
from enum import StrEnum

from dual_write.changes import Mark
from flags.side import Side
from migration.control import Control
from migration.journal import Journal
from migration.moves import Installation
from migration.observations import CheckRun, Observations


class Scope(StrEnum):
    """What a check compared: every row, the keys that changed since the last one, or a part of the rows."""

    WHOLE = "whole"
    SINCE = "since"
    SAMPLE = "sample"


Seen = tuple[CheckRun, float]
"""A check, and the seconds since it began."""


def last_check(
    control: Control, phase: str, scope: Scope | None = None, *, clean: bool | None = None
) -> Seen | None:
    """The latest check, of this scope and verdict if they are given.

    None when there was none since the installation: an earlier one's rows say nothing about it.
    """
    check = Observations(control).last_check(phase, scope, clean=clean)
    installed = Journal(control).last(phase, Installation.kind, limit=1)
    if check is None or (installed and check[0].started < installed[0].started):
        return None
    return check


def vouching(control: Control, phase: str) -> Seen | None:
    """The check that the gates ask for: the last of all rows, unless a later one of some was not clean."""
    whole = last_check(control, phase, Scope.WHOLE)
    unclean = last_check(control, phase, clean=False)
    if unclean is not None and (whole is None or unclean[0].started > whole[0].started):
        return unclean
    return whole


def known_marks(control: Control, phase: str, compared: str) -> Mapping[Side, Mark]:
    """Where a check of what changed may begin, by direction; empty when it has to compare everything.

    That is when the last one was not clean, or of another plan or writer.
    """
    vouches = vouching(control, phase)
    if vouches is None or not vouches[0].clean:
        return {}
    later = last_check(control, phase, Scope.SINCE)
    known = [check for check, _ in (vouches, *([later] if later else ()))]
    for check in sorted(known, key=lambda each: each.started, reverse=True):
        if check.detail.get("compared") == compared and check.detail.get("marks"):
            return {Side(to): Mark(*ids) for to, ids in check.detail["marks"].items()}
    return {}
