"""What fills each column, in either direction: from the plan's words and two described tables. Pure rules."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from dual_write.computing import arguments
from dual_write.errors import SchemaError
from dual_write.mapping import Column
from dual_write.names import quote

Rule = str | Mapping[str, Any]
"""What fills a service column: a monolith column's name, or one of {"column", "cast"}, {"sql"}, {"value"},
{"python", "columns"}."""

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_WORD = re.compile(r'"((?:[^"]|"")+)"|(\w+)')


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One [[phases.tables]] of the plan. ``service`` defaults to the monolith's name."""

    monolith: str
    service: str = ""
    columns: Mapping[str, Rule] = field(default_factory=dict)
    drop: Sequence[str] = ()
    reverse: Mapping[str, Rule] = field(default_factory=dict)
    where: str = ""
    optional: bool = False
    follow: bool = False
    triggers: str = "suppress"
    tolerance: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A table as its database describes it: its columns by name, and which of them may be left out."""

    name: str
    columns: Sequence[str]
    optional: frozenset[str]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filled:
    """A column that one entry of the plan fills; ``said``: in so many words, not just by its name.

    ``blind``: SQL cannot tell from the source's row whether it will be NULL, as of a constant.
    """

    column: Column
    said: bool
    blind: bool = False


def forward(spec: TableSpec, source: Table, target: Table, dialect: str) -> dict[str, Filled]:
    """What the monolith's row fills of the service's, in the order of its columns."""
    filled: dict[str, Filled] = {}
    for name in target.columns:
        rule = spec.columns.get(name)
        said = rule is not None
        if rule is None and name in source.columns and name not in spec.drop:
            rule = name
        if rule is not None:
            blind = isinstance(rule, Mapping) and ("value" in rule or "python" in rule)
            filled[name] = Filled(_column(name, rule, source, dialect, "columns"), said, blind)
    return filled


def backward(
    spec: TableSpec, source: Table, target: Table, there: Mapping[str, Filled], dialect: str
) -> dict[str, Filled]:
    """What the service's row fills of the monolith's. A text under ``reverse`` is SQL."""
    carried = {
        filled.column.source: filled.column.target
        for filled in there.values()
        if filled.column.source is not None
    }
    columns: dict[str, Filled] = {}
    for name in source.columns:
        if (rule := spec.reverse.get(name)) is not None:
            if isinstance(rule, str) and rule not in target.columns:
                rule = {"sql": rule}
            columns[name] = Filled(_column(name, rule, target, dialect, "reverse"), said=True)
        elif name in carried:
            columns[name] = Filled(Column(name, quote(carried[name]), carried[name]), said=False)
    return columns


def settled(
    parts: Sequence[Mapping[str, Filled]], target: Table, key: Sequence[str]
) -> list[dict[str, Filled]]:
    """Each column but the key's in one of the ``parts`` alone: the one that says so, if several could.

    Raises SchemaError where none does or several do.
    """
    owners: dict[str, int] = {}
    for name in target.columns:
        having = [number for number, part in enumerate(parts) if name in part]
        said = [number for number in having if parts[number][name].said] or having
        if len(said) > 1 and name not in key:
            raise SchemaError(
                f"column {name!r} of table {target.name!r} is filled from several tables. Say in one entry "
                "which, under `columns` or on the way back under `reverse`, or `drop` it in the others."
            )
        if said:
            owners[name] = said[0]
    return [
        {name: filled for name, filled in part.items() if name in key or owners[name] == number}
        for number, part in enumerate(parts)
    ]


def unfilled(
    filled: Mapping[str, Filled], source: Table, target: Table, asked_for: Iterable[str]
) -> str | None:
    """The error's text for a column that nothing fills although something must.

    ``asked_for``: columns that the entry's own condition speaks of, by which its rows are told from others.
    """
    for name in asked_for:
        if name not in filled:
            return (
                f"table {target.name!r}: `where` asks for column {name!r}, which nothing fills from "
                f"{source.name!r}. Say under `columns` what does, such as a constant."
            )
    for name in target.columns:
        if name not in filled and name not in target.optional:
            hint = (
                f" Did you mean the monolith's {near!r}?" if (near := near_to(name, source.columns)) else ""
            )
            return (
                f"table {target.name!r}: nothing fills its column {name!r}, which may not be NULL and has no "
                f"default. Say under `columns` what does.{hint}"
            )
    return None


def present(filled: Mapping[str, Filled], key: Sequence[str], table: str) -> str:
    """The condition under which an optional row has anything to say. Raises SchemaError when it never has."""
    values = [each.column.expression for name, each in filled.items() if name not in key and not each.blind]
    if not values:
        raise SchemaError(f"table {table!r} is `optional`, but no column besides its key could be missing.")
    return " OR ".join(f"{value} IS NOT NULL" for value in values)


def asked(where: str, table: Table) -> Iterator[str]:
    """The columns of ``table`` that a condition speaks of, as far as its words tell."""
    words = {quoted or word for quoted, word in _WORD.findall(_LITERAL.sub("", where))}
    return (name for name in table.columns if name in words or name.lower() in map(str.lower, words))


def known(column: str, table: Table, where: str) -> str:
    if column in table.columns:
        return column
    hint = f" Did you mean {near!r}?" if (near := near_to(column, table.columns)) else ""
    raise SchemaError(f"table {table.name!r} has no column {column!r} (named under `{where}`).{hint}")


def near_to(name: str, names: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(name, names, 1)), None)


def _column(name: str, rule: Rule, source: Table, dialect: str, where: str) -> Column:
    if isinstance(rule, str):
        rule = {"column": rule}
    match {key: value for key, value in rule.items() if value is not None}:
        case {"column": str(column), "cast": str(cast)}:
            return Column(name, f"CAST({quote(known(column, source, where))} AS {cast})", None)
        case {"column": str(column)}:
            return Column(name, quote(known(column, source, where)), column)
        case {"sql": str(expression)}:
            return Column(name, f"({expression})", None)
        case {"value": value}:
            return Column(name, _literal(value, dialect), None)
        case {"python": str(reference), "columns": names}:
            given = arguments([known(column, source, where) for column in names], dialect)
            return Column(name, given, None, reference)
        case _:
            raise SchemaError(
                f"column {name!r}: give a column's name, or one of `column`, `sql` and `value`, "
                "or `python` with its `columns`"
            )


def _literal(value: object, dialect: str) -> str:
    if isinstance(value, bool):
        return str(value).upper() if dialect == "postgresql" else str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"
