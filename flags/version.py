"""Semantic versions (semver.org 2.0.0), ordered by precedence: build metadata does not count."""

import re
from functools import total_ordering
from typing import NamedTuple

_NUMBER = r"(0|[1-9]\d*)"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_LIMIT = 2**64
_DIGITS = len(str(_LIMIT))


class _Key(NamedTuple):
    core: tuple[int, int, int]
    released: bool
    pre: tuple[tuple[bool, int, str], ...]


@total_ordering
class Version:
    """One version, compared by precedence."""

    __slots__ = ("_key",)

    def __init__(self, key: _Key) -> None:
        self._key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: "Version") -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


def parse_version(text: str) -> Version | None:
    """The version that the text is, or None."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    if max(map(len, match.group(1, 2, 3))) > _DIGITS:  # clients say what they like: nothing is read for long
        return None
    core = (int(match[1]), int(match[2]), int(match[3]))
    if max(core) >= _LIMIT:
        return None
    pre = tuple(
        (False, len(part), part) if part.isdigit() else (True, 0, part)  # numbers have no leading zeros
        for part in (match[4] or "").split(".")
        if part
    )
    return Version(_Key(core, not pre, pre))
