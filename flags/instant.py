"""Points in time as Unleash's engine reads them in contexts: RFC 3339, and much that looks like it."""

import re
from datetime import UTC, datetime, timedelta

from flags.text import WHITE_SPACE

Instant = tuple[int, int]
"""Seconds since 1970 and nanoseconds; a 60th second is the 59th with more than a billion of them."""

_YEARS = range(-262_143, 262_143)
_CALENDAR = 400
_CALENDAR_DAYS = 146_097
"""The Gregorian calendar begins anew every 400 years: enough for years that `datetime` does not know."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BLANK = f"[{WHITE_SPACE}]*"
_INSTANT = re.compile(
    _BLANK.join(
        (
            r"",
            r"([+-][0-9]+|[0-9]{1,4})",
            r"-",
            r"([0-9]{1,2})",
            r"-",
            r"([0-9]{1,2})[Tt ]",
            r"([0-9]{1,2})",
            r":",
            r"([0-9]{1,2})",
            r":",
            r"([0-9]{1,2})(?:\.([0-9]+))?",
            rf"(?:[Zz]|[Uu][Tt][Cc]|([+\-\u2212])([0-9]{{2}})[:{WHITE_SPACE}]*([0-5][0-9]))",
            r"",
        )
    )
)


def parse_instant(text: str) -> Instant | None:
    """When that is, or None for what is no point in time."""
    match = _INSTANT.fullmatch(text)
    if match is None or len(match[1]) > len("-262143"):
        return None
    *date_and_time, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, date_and_time)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if second > 60 or offset >= timedelta(hours=24) or year not in _YEARS:
        return None
    calendars, year = divmod(year, _CALENDAR)
    try:
        at = datetime(year + _CALENDAR, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    since = at - _EPOCH + timedelta(days=(calendars - 1) * _CALENDAR_DAYS)
    since += -offset if sign == "+" else offset
    nanoseconds = int((fraction or "")[:9].ljust(9, "0")) + (second == 60) * 10**9
    return since // timedelta(seconds=1), nanoseconds
