"""Times and periods as people write them: ``2h``, ``2026-11-28T13:00``, ``2h..1h``. Pure."""

import re
from datetime import UTC, datetime

from migration.errors import EvidenceError

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_BETWEEN = ".."


def moment_of(text: str, now: float) -> float:
    """Seconds since 1970 of a time (UTC unless it has a zone), or of so long before ``now``.

    Raises EvidenceError.
    """
    if found := _AGO.fullmatch(text.strip()):
        return now - float(found[1]) * _SECONDS[found[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise EvidenceError(
            f"{text!r} is no time. Write how long ago, as in 30m, 2h or 7d, or a time, as in "
            "2026-11-28T13:00 (UTC) or 2026-11-28T13:00+01:00."
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def is_period(text: str) -> bool:
    return _BETWEEN in text


def period_of(text: str, now: float) -> tuple[float, float]:
    """Both ends of ``FROM..TO``; an end that is left out is ``now``. Raises EvidenceError."""
    begin, _, end = text.partition(_BETWEEN)
    since, until = moment_of(begin, now), moment_of(end, now) if end.strip() else now
    if since >= until:
        raise EvidenceError(f"{text!r} ends before it begins. Write the earlier time first, as in 2h..1h.")
    return since, until
