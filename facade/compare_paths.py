"""Where a rule applies: the subset of JSONPath (RFC 9535) that rules are written in, compiled.

Supported are ``$``, member names (``.name``, ``['name']``), wildcards (``.*``, ``[*]``), non-negative
indexes (``[0]``) and the descendant forms of each (``..name``, ``..*``, ``..['name']``, ``..[0]``). Filters,
slices, unions, functions and negative indexes are refused, so that a path selects a node by its place alone.

All paths of a rule set become one automaton. Following a document down costs one dictionary look-up a level,
however many rules there are, and a part of the document that no rule can reach is recognised at once.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

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


@dataclass(slots=True, eq=False)
class Place:
    """Where a walk stands relative to all rules. ``rule`` is the rule that selects exactly this node, if any.

    ``dead`` means that no rule can select anything below, whatever follows.
    """

    rule: str | None
    names: dict[str, "Place"] = field(default_factory=dict)
    indexes: dict[int, "Place"] = field(default_factory=dict)
    any_name: "Place" = field(init=False)
    any_index: "Place" = field(init=False)
    dead: bool = False

    def __post_init__(self) -> None:
        self.any_name = self.any_index = self

    def member(self, name: str) -> "Place":
        """The place of the member ``name`` of this node."""
        return self.names.get(name, self.any_name)

    def item(self, index: int) -> "Place":
        """The place of the item at ``index`` of this node."""
        return self.indexes.get(index, self.any_index)


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


@lru_cache(maxsize=256)
def compile_paths(paths: tuple[str, ...]) -> Place:
    """The place of a document's root under these rules; raises RuleError."""
    rules = tuple((path, parse_path(path)) for path in paths)
    places: dict[frozenset[tuple[int, int]], Place] = {}

    def place(active: frozenset[tuple[int, int]]) -> Place:
        if active in places:
            return places[active]
        done = sorted(rule for rule, at in active if at == len(rules[rule][1]))
        made = places[active] = Place(rules[done[0]][0] if done else None, dead=not active)
        if active:
            waiting = {rules[rule][1][at].key for rule, at in active if at < len(rules[rule][1])}
            made.names = {key: place(step(active, key)) for key in waiting if isinstance(key, str)}
            made.indexes = {key: place(step(active, key)) for key in waiting if isinstance(key, int)}
            # A key that no rule names: only wildcards take it, and those do not tell names from indexes.
            made.any_name = made.any_index = place(step(active, None))
        return made

    def step(active: frozenset[tuple[int, int]], key: str | int | None) -> frozenset[tuple[int, int]]:
        following: set[tuple[int, int]] = set()
        for rule, at in active:
            if at == len(rules[rule][1]):
                continue
            segment = rules[rule][1][at]
            if segment.key is None or segment.key == key:
                following.add((rule, at + 1))
            if segment.deep:
                following.add((rule, at))
        return frozenset(following)

    return place(frozenset((rule, 0) for rule in range(len(rules))))


def member_path(parent: str, name: str) -> str:
    """The path of a member: ``.name`` where that is legal, else quoted as RFC 9535 does."""
    if _PLAIN_NAME.fullmatch(name):
        return f"{parent}.{name}"
    quoted = "".join(f"\\u{ord(c):04x}" if c < " " else f"\\{c}" if c in "'\\" else c for c in name)
    return f"{parent}['{quoted}']"


def field_of(path: str) -> str:
    """The path with every index made ``[*]``: what the items of one list have in common."""
    return _INDEX.sub(lambda found: found[0] if found[0][1] == "'" else "[*]", path)
