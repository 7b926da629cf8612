"""Where a rule applies: the subset of JSONPath (RFC 9535) that rules are written in.

Supported are ``$``, member names (``.name``, ``['name']``), wildcards (``.*``, ``[*]``), non-negative
indexes (``[0]``) and the descendant forms of each (``..name``, ``..*``, ``..['name']``, ``..[0]``). Filters,
slices, unions, functions and negative indexes are refused, so that a path selects a node by its place alone.
"""

import re
from dataclasses import dataclass

_SEGMENT = re.compile(
    r"""(?P<deep>\.\.)?(?:
        (?(deep)|\.)(?P<name>[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*|\*)
      | \[\s*(?:
            (?P<star>\*)
          | (?P<index>0|[1-9]\d*)
          | '(?P<single>(?:[^'\\]|\\.)*)'
          | "(?P<double>(?:[^"\\]|\\.)*)"
        )\s*\]
    )""",
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_INDEX = re.compile(r"\['(?:[^'\\]|\\.)*'\]|\[\d+\]")
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class RuleError(ValueError):
    """A comparison rule cannot be understood; the message names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One step down: a member's name, an index, or None for any; ``deep`` allows levels between."""

    key: str | int | None
    deep: bool


def parse_path(path: str) -> tuple[Segment, ...]:
    """The segments of ``path``; raises RuleError, which shows where it stops being understood."""
    if not path.startswith("$"):
        raise RuleError(f"the path {path!r} must begin with '$', as in '$.items[*].score'")
    segments, position = [], 1
    while position < len(path):
        found = _SEGMENT.match(path, position)
        if found is None:
            raise RuleError(
                f"the path {path!r} is not understood from {path[position:]!r} on; "
                "use .name, ['name'], [0], .*, [*], ..name or ..*"
            )
        segments.append(_segment(found))
        position = found.end()
    return tuple(segments)


def _segment(found: re.Match[str]) -> Segment:
    deep = found["deep"] is not None
    if found["index"] is not None:
        return Segment(int(found["index"]), deep)
    if found["star"] or found["name"] == "*":
        return Segment(None, deep)
    for quoted in ("single", "double"):
        if found[quoted] is not None:
            return Segment(_ESCAPE.sub(_unescaped, found[quoted]), deep)
    return Segment(found["name"], deep)


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)


def member_path(parent: str, name: str) -> str:
    """The path of a member: ``.name`` where that is legal, else quoted as RFC 9535 does."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{parent}.{name}"
    quoted = "".join(f"\\u{ord(c):04x}" if c < " " else f"\\{c}" if c in "'\\" else c for c in name)
    return f"{parent}['{quoted}']"


def field_of(path: str) -> str:
    """The path with every index made ``[*]``: what the items of one list have in common."""
    return _INDEX.sub(lambda found: found[0] if found[0][1] == "'" else "[*]", path)
