"""On which line of a TOML text each key stands: the standard library's reader does not tell."""

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""The way to a value: ``("phases", 0, "service", "url")``."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_STRING = re.compile(
    r'''
      """ (?: [^"\\] | \\. | "(?!"") )* "{3,5}
    | '{3} (?: [^'] | '(?!'{2}) )* '{3,5}
    | " (?: [^"\\\n] | \\. )* "
    | ' [^'\n]* '
    ''',
    re.DOTALL | re.VERBOSE,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")


def key_lines(text: str) -> Mapping[Place, int]:
    """The line (from 1) of every table, key and array item of ``text``, which must be valid TOML."""
    return _Scanner(text).scan()


def line_of(place: Place, lines: Mapping[Place, int]) -> int | None:
    """The line of ``place``, or of the nearest table or key around it that the text holds."""
    while place:
        if place in lines:
            return lines[place]
        place = place[:-1]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Place, int] = {}
        self._tables: dict[Place, int] = {}
        self._counted = (0, 1)

    def scan(self) -> dict[Place, int]:
        table: Place = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Place:
        line, many = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        place = self._resolve(self._key())
        self._skip(_BLANK)
        self._at += 2 if many else 1
        for length in range(1, len(place) + 1):
            self._lines.setdefault(place[:length], line)
        if many:
            number = self._tables.get(place, 0)
            self._tables[place] = number + 1
            place = (*place, number)
            self._lines[place] = line
        return place

    def _resolve(self, key: Place) -> Place:
        """A header's key, with the last table of each array of tables on the way."""
        place: Place = ()
        for part in key[:-1]:
            place = (*place, part)
            if place in self._tables:
                place = (*place, self._tables[place] - 1)
        return (*place, key[-1])

    def _pair(self, table: Place) -> None:
        line, place = self._line(), table
        for part in self._key():
            place = (*place, part)
            self._lines.setdefault(place, line)
        self._skip(_BLANK)
        self._at += 1  # the equals sign
        self._value(place)

    def _value(self, place: Place) -> None:
        self._skip(_BLANK)
        if self._text.startswith("[", self._at):
            self._items(place)
        elif self._text.startswith("{", self._at):
            self._members(place)
        elif _STRING.match(self._text, self._at):
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _items(self, place: Place) -> None:
        self._at += 1
        number = 0
        while not self._closed("]"):
            item = (*place, number)
            self._lines[item] = self._line()
            self._value(item)
            number += 1

    def _members(self, place: Place) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(place)

    def _closed(self, bracket: str) -> bool:
        """Step over blanks, a comma and, if it is next, the closing bracket."""
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BLANK)
        if self._text.startswith(bracket, self._at):
            self._at += 1
            return True
        return self._at >= len(self._text)

    def _key(self) -> Place:
        parts: list[str | int] = []
        while True:
            self._skip(_BLANK)
            quoted = _STRING.match(self._text, self._at)
            found = quoted or _BARE_KEY.match(self._text, self._at)
            if found is None:
                raise ValueError(f"line {self._line()} holds no key")
            self._at = found.end()
            parts.append(found[0][1:-1] if quoted else found[0])
            dot = _DOT.match(self._text, self._at)
            if dot is None:
                return tuple(parts)
            self._at = dot.end()

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _line(self) -> int:
        at, line = self._counted
        self._counted = (self._at, line + self._text.count("\n", at, self._at))
        return self._counted[1]
