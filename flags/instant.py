"""Points in time as Unleash's engine reads them: RFC 3339, and a little more."""

import re
from datetime import UTC, datetime, timedelta

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?\s*(?:([Zz])|([+-])(\d\d):?(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> int | None:
    """Nanoseconds since 1970, or None for what is no point in time. A 60th second is the next minute's."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    *date_and_time, fraction, _zulu, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, date_and_time)
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if second > 60 or offset >= timedelta(hours=24) or int(minutes or 0) > 59:
        return None
    try:
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    since = at - _EPOCH + (offset if sign == "-" else -offset)
    whole = since // timedelta(seconds=1) + (second == 60)
    return whole * 10**9 + int((fraction or "")[:9].ljust(9, "0"))
