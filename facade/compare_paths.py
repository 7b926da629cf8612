"""Where a rule applies: JSONPath (RFC 9535), as far as it selects a node by its place alone.

Supported are ``$``, member names (``.name``, ``['name']``), wildcards (``.*``, ``[*]``), indexes (``[0]``),
slices (``[1:5]``, ``[::2]``), several of these in one bracket (``['a', 'b', 0]``), and each of them at any
depth behind ``..``. Refused are filters, which select by value, and positions counted from the end of a list:
the two lists that are compared may be of different lengths.
"""

import re
import sys
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

Selector: TypeAlias = str | int | range | None
"""A member's name, an index, the indexes of a slice, or None for whatever is there."""

_SHORT = re.compile(r"\*|[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*")
_INTEGER = r"(?:0|-?[1-9]\d*)"
_BLANK = r"[ \t\n\r]*"
_SELECTOR = re.compile(
    rf"""(?P<star>\*)
      | (?P<quote>['"])(?P<text>(?:(?!(?P=quote))[^\\]|\\.)*)(?P=quote)
      | (?P<start>{_INTEGER})?{_BLANK}(?P<slice>:){_BLANK}(?P<stop>{_INTEGER})?
        (?:{_BLANK}:(?:{_BLANK}(?P<step>{_INTEGER}))?)?
      | (?P<index>{_INTEGER})
      | (?P<filter>\?)""",
    re.VERBOSE | re.ASCII,
)
_BLANKS = re.compile(_BLANK)
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>[Dd][89ABab][0-9A-Fa-f]{2})\\u(?P<low>[Dd][C-Fc-f][0-9A-Fa-f]{2})"
    r"|u(?P<code>(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4})|(?P<one>.))",
    re.DOTALL,
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\"}
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_INDEX = re.compile(r"\['(?:[^'\\]|\\.)*'\]|\[\d+\]")


class RuleError(ValueError):
    """A comparison rule cannot be understood; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step down, to what any of the ``selectors`` selects; ``deep`` allows levels between."""

    selectors: tuple[Selector, ...]
    deep: bool = False

    def selects(self, key: str | int | None) -> bool:
        """Whether it leads to the member or item ``key``; None stands for one that no rule names."""
        return any(
            selector is None
            or (isinstance(key, int) and isinstance(selector, range) and key in selector)
            or (selector == key and type(selector) is type(key))
            for selector in self.selectors
        )


def parse_path(path: str) -> tuple[Segment, ...]:
    """The segments of ``path``; raises RuleError, which shows where it stops being understood."""
    if not path.startswith("$"):
        raise RuleError(f"the path {path!r} must begin with '$', as in '$.items[*].score'")
    reader, segments = _Reader(path, 1), []
    while reader.at < len(path):
        segments.append(reader.segment())
    return tuple(segments)


class _Reader:
    """A path, read from left to right."""

    def __init__(self, path: str, at: int) -> None:
        self.path = path
        self.at = at

    def segment(self) -> Segment:
        begin = self.at
        self._blank()
        deep = self._takes("..")
        if self._takes("["):
            selectors = [self._selector()]
            while not self._takes("]"):
                if not self._takes(","):
                    self._refuse(begin)
                selectors.append(self._selector())
                self._blank()
            return Segment(tuple(selectors), deep)
        if not (deep or self._takes(".")):
            self._refuse(begin)
        found = _SHORT.match(self.path, self.at)
        if found is None:
            self._refuse(begin)
        self.at = found.end()
        return Segment((None if found[0] == "*" else found[0],), deep)

    def _selector(self) -> Selector:
        self._blank()
        begin = self.at
        found = _SELECTOR.match(self.path, begin)
        if found is None:
            self._refuse(begin)
        self.at = found.end()
        self._blank()
        if found["filter"]:
            raise RuleError(
                f"the path {self.path!r} has a filter. A rule selects by place, not by value: "
                "name the members, or use [*] for all items."
            )
        if found["star"]:
            return None
        if found["quote"]:
            return self._name(found["text"], found["quote"], begin)
        if found["slice"]:
            return self._slice(found)
        return self._index(found["index"])

    def _slice(self, found: re.Match[str]) -> range:
        start, stop, step = (self._index(found[part] or default) for part, default in _SLICE)
        return range(start, stop, step) if step else range(0)  # a step of 0 selects nothing (RFC 9535, 2.3.4)

    def _index(self, text: str) -> int:
        if text.startswith("-"):
            raise RuleError(
                f"the path {self.path!r} counts from the end of a list ({text}), and the two lists that are "
                "compared may be of different lengths. Count from its beginning."
            )
        return int(text)

    def _name(self, text: str, quote: str, begin: int) -> str:
        def plain(escape: re.Match[str]) -> str:
            if escape["high"]:
                pair = bytes.fromhex(escape["high"] + escape["low"])
                return pair.decode("utf-16-be")
            if escape["code"]:
                return chr(int(escape["code"], 16))
            character = escape["one"]
            if character != quote and character not in _ESCAPES:
                self._refuse(begin)
            return _ESCAPES.get(character, character)

        if any(character < " " for character in text):
            self._refuse(begin)
        return _ESCAPE.sub(plain, text)

    def _takes(self, text: str) -> bool:
        taken = self.path.startswith(text, self.at)
        self.at += len(text) * taken
        return taken

    def _blank(self) -> None:
        found = _BLANKS.match(self.path, self.at)
        self.at = found.end() if found else self.at

    def _refuse(self, at: int) -> NoReturn:
        raise RuleError(
            f"the path {self.path!r} is not understood from {self.path[at:]!r} on; "
            "use .name, ['name'], [0], [1:5], .*, [*], ['a', 'b'], ..name or ..*"
        )


_SLICE = (("start", "0"), ("stop", str(sys.maxsize)), ("step", "1"))


def member_path(parent: str, name: str) -> str:
    """The path of a member: ``.name`` where that is legal, else quoted as RFC 9535 does."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{parent}.{name}"
    quoted = "".join(f"\\u{ord(c):04x}" if c < " " else f"\\{c}" if c in "'\\" else c for c in name)
    return f"{parent}['{quoted}']"


def field_of(path: str) -> str:
    """The path with every index made ``[*]``: what the items of one list have in common."""
    return _INDEX.sub(lambda found: found[0] if found[0][1] == "'" else "[*]", path)
