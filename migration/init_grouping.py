"""Guessing phases: which routes and tables of a monolith look as if they belonged together. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from migration.init_openapi import Operation
from migration.init_tables import FoundTable

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_PREFIX = re.compile(r"api|rest|v\d+(?:[._]\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """A phase in the making."""

    name: str
    operations: tuple[Operation, ...]
    tables: tuple[FoundTable, ...]


def group(
    operations: Iterable[Operation], tables: Iterable[FoundTable]
) -> tuple[tuple[Group, ...], tuple[FoundTable, ...]]:
    """The groups in the order the routes come in, and the tables that fit none of them."""
    routes: dict[str, list[Operation]] = {}
    for operation in operations:
        routes.setdefault(_phase_name(operation), []).append(operation)
    owned: dict[str, list[FoundTable]] = {name: [] for name in routes}
    unassigned: list[FoundTable] = []
    for table in tables:
        scores = {name: _score(table.name, name, found) for name, found in routes.items()}
        best = max(scores, key=scores.__getitem__, default="")
        (owned[best] if scores.get(best) else unassigned).append(table)
    groups = tuple(Group(name, tuple(found), tuple(owned[name])) for name, found in routes.items())
    return groups, tuple(unassigned)


def _phase_name(operation: Operation) -> str:
    words = operation.tag or next(iter(_literals(operation.path)), "root")
    name = re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-_")
    return (name if name[:1].isalpha() else f"phase-{name}".rstrip("-"))[:40]


def _literals(path: str) -> list[str]:
    """The path's segments that say what it is about: no parameters, no ``/api/v1``."""
    return [part for part in path.split("/") if part and "{" not in part and not _PREFIX.fullmatch(part)]


def _score(table: str, name: str, operations: Sequence[Operation]) -> int:
    """How well a table fits: 0 for not at all, 5 when it has the group's name."""
    words = _words(table)
    own = _words(name)
    paths = [_words(part) for operation in operations for part in _literals(operation.path)]
    if words == own:
        return 5
    if words in paths:
        return 4
    if own and words[: len(own)] == own:
        return 3
    if any(each and words[: len(each)] == each for each in paths):
        return 2
    return int(bool(set(words) & set(own)))


def _words(name: str) -> tuple[str, ...]:
    return tuple(_singular(word.lower()) for word in _WORD.findall(name))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "shes", "ches", "xes", "uses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
