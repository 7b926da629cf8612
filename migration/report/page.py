"""One HTML file that needs nothing else, made of a template and its values; and how figures are written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.intervals import Percentile

DASH = "–"
"""What stands where there is no figure."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """The page that ``template`` makes of ``values``. Everything in them is escaped."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("migration.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count,
        percent=percent,
        round_percent=round_percent,
        ms=ms,
        ms_between=ms_between,
        points=points,
        moment=moment,
        span=span,
        several=several,
    )
    return environment


def count(number: int | None) -> str:
    """A whole number, its thousands apart."""
    return DASH if number is None else f"{number:,}"


def percent(share: float | None) -> str:
    """A share from 0 to 1; never rounded to a full 100 % or 0 %."""
    if share is None:
        return DASH
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(100 * share, 0.01), 99.99):.2f} %"


def round_percent(share: float) -> str:
    """A share that somebody chose: no more digits than it has."""
    return f"{100 * share:g} %"


def ms(value: float | None) -> str:
    """Milliseconds, with as many digits as mean something."""
    if value is None:
        return DASH
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def ms_between(percentile: Percentile | None) -> str:
    """The interval of a percentile of milliseconds."""
    return "" if percentile is None else f"{_short(percentile.low)}–{_short(percentile.high)}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def points(share: float) -> str:
    """A difference of two shares, in percentage points."""
    return f"{100 * share:+.2f}"


def moment(at: float) -> str:
    """A time in seconds since 1970."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def span(seconds: float) -> str:
    """A length of time in words."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return several(round(seconds / size), unit)
    return several(round(seconds), "second")


def several(number: int, noun: str) -> str:
    """A number of things: ``1 request``, ``2,000 requests``."""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")
