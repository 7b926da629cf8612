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


def last_check(control: Control, phase: str, scope: Scope | None = None) -> tuple[CheckRun, float] | None:
    """The latest check, of this scope if one is given, and the seconds since it began.

    None when there was none since the installation: an earlier one's rows say nothing about it.
    """
    check = Observations(control).last_check(phase, scope)
    installed = Journal(control).last(phase, Installation.kind, limit=1)
    if check is None or (installed and check[0].started < installed[0].started):
        return None
    return check


def vouching(control: Control, phase: str) -> tuple[CheckRun, float] | None:
    """The check that the gates ask for: the last of all rows, unless a later one of some was not clean."""
    last = last_check(control, phase)
    return last if last is None or not last[0].clean else last_check(control, phase, Scope.WHOLE)


def known_marks(control: Control, phase: str, compared: str) -> Mapping[Side, Mark]:
    """Where a check of what changed may begin, by direction; empty when it has to compare everything.

    That is when the last check was not clean, or of another plan or writer.
    """
    last = last_check(control, phase)
    whole = last_check(control, phase, Scope.WHOLE)
    if last is None or whole is None or not (last[0].clean and whole[0].clean):
        return {}
    for check, _ in (last, whole):
        if check.detail.get("compared") == compared and check.detail.get("marks"):
            return {Side(to): Mark(*ids) for to, ids in check.detail["marks"].items()}
    return {}
