"""A consistency check as one HTML page."""

from collections.abc import Sequence

from dual_write.check_result import CheckResult
from dual_write.spool import Joined
from migration.report.page import render
from migration.soundness import SOUND, Soundness

_FINDINGS = 1_000
"""Findings shown; a file can have them all."""


def render_check(name: str, results: Sequence[tuple[str, CheckResult]], sound: Soundness = SOUND) -> str:
    """The page of what was checked, phase or table, with a result for each side that rows go to.

    Values are described, not shown, unless the check revealed them.
    """
    return render(
        "check.html.j2",
        {
            "name": name,
            "results": results,
            "sound": sound,
            "clean": all(result.clean for _, result in results) and not sound.problems,
            "rows": sum(result.rows for _, result in results),
            "findings": Joined(result.findings for _, result in results),
            "undecided": sum(result.undecided for _, result in results),
            "seconds": sum(result.seconds for _, result in results),
            "shown": _FINDINGS,
        },
    )
