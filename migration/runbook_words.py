"""What the words of a runbook may be: texts and commands with values in braces, and lengths of time. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from string import Formatter
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

PLACEHOLDERS = (
    "phase",
    "stage",
    "plan",
    "monolith_url",
    "service_url",
    "routes",
    "tables",
    "writer",
    "reads",
    "writes",
    "lag",
    "max_lag",
    "match",
    "min_match",
    "min_samples",
    "check",
    "max_check_age",
    "hold",
)
"""What a text or a command may have in braces: the values of the phase as it stands."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_UNITS: Mapping[str, float] = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


def placeholders(text: str) -> Iterator[str]:
    """The names in braces. Raises ValueError for braces that do not match."""
    for _, name, _, _ in Formatter().parse(text):
        if name is not None:
            yield name


def _fillable(text: str) -> str:
    try:
        strange = [name for name in placeholders(text) if name not in PLACEHOLDERS]
    except ValueError as error:
        raise ValueError(f"{error}. Write {{{{ and }}}} for braces that stand for themselves.") from error
    if strange:
        raise ValueError(
            f"{{{strange[0]}}} is no value of a phase. There are: "
            f"{', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}."
        )
    return text


def _line(text: str) -> str:
    """Without the line breaks that a file has for its readers."""
    return " ".join(text.split())


def _seconds(value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'{value!r} is no length of time. Write it as "30 s", "15 min", "2 h" or "1 d".')
    return float(found[1]) * _UNITS[found[2]]


Fill = Callable[[str], str]
Word = Annotated[str, AfterValidator(_fillable)]
Text = Annotated[str, AfterValidator(_line), Field(min_length=1), AfterValidator(_fillable)]
Duration = Annotated[float, BeforeValidator(_seconds)]
Command = Annotated[tuple[Word, ...], Field(min_length=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
StepName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,60}$")]
