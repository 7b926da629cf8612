"""Flows: what a phase's mappings come to in one direction, where several of them may share a table.

A table that several mappings share is split: each of the tables opposite holds some of its columns or some
of its rows. Towards the split table their rows are put together again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dual_write.errors import SchemaError
from dual_write.mapping import Column, Part, TableFlow, TableMapping
from dual_write.names import quote
from flags.side import Side

_TO = " > "


def flows(mappings: Sequence[TableMapping], to: Side) -> tuple[TableFlow, ...]:
    """One flow for each table on ``to``. Raises MappingError when a mapping cannot run in this direction."""
    shares = Counter(mapping.table(to.other) for mapping in mappings)
    gathered: dict[str, list[TableMapping]] = {}
    for mapping in mappings:
        gathered.setdefault(mapping.table(to), []).append(mapping)
    return tuple(
        _gathered(group, to) if len(group) > 1 else _single(group[0], to, shares[group[0].table(to.other)])
        for group in gathered.values()
    )


def table_of(lane: str) -> str:
    """The source table whose changes the lane carries."""
    return lane.partition(_TO)[0]


def _single(mapping: TableMapping, to: Side, shares: int) -> TableFlow:
    """``shares``: how many mappings read the same table."""
    flow = mapping.towards(to)
    if shares == 1 and not mapping.where:
        return flow
    if shares == 1 and to is Side.MONOLITH:
        return replace(flow, owned=mapping.where)
    lane = flow.source if shares == 1 else f"{flow.source}{_TO}{flow.target}"
    return _over(flow, (Part(lane, flow.source, flow.source_key, flow.columns, mapping.where),))


def _gathered(group: Sequence[TableMapping], to: Side) -> TableFlow:
    """The rows of several tables as one: those with conditions hold different rows, the others columns."""
    members = [mapping.towards(to) for mapping in group]
    parts = tuple(Part(each.source, each.source, each.source_key, each.columns) for each in members)
    said = {name: amount for each in members for name, amount in each.tolerance}
    first = replace(members[0], tolerance=tuple(said.items()))
    if not group[0].where:
        return _over(first, parts)
    owned = " OR ".join(f"({mapping.where})" for mapping in group)
    return _over(first, parts, union=True, owned=owned)


def _over(flow: TableFlow, parts: tuple[Part, ...], *, union: bool = False, owned: str = "") -> TableFlow:
    functions: dict[str, str] = {}
    for column in (column for part in parts for column in part.columns):
        if functions.setdefault(column.target, column.python) != column.python and union:
            raise SchemaError(
                f"column {column.target!r} of table {flow.target!r} is computed by a function in one entry "
                "and otherwise in another; give every entry the same `python`, or none"
            )
    columns = tuple(Column(name, quote(name), name, python) for name, python in functions.items())
    return replace(flow, source_key=flow.target_key, columns=columns, parts=parts, union=union, owned=owned)
