"""Relations: the SQL from which a flow's rows are read, whatever number of tables they come from.

Each part is a subselect of its own, so that the plan's expressions see the columns of one table alone.
"""

from collections.abc import Callable, Sequence

from dual_write.errors import SchemaError
from dual_write.mapping import Column, Part, TableFlow
from dual_write.names import quote

Naming = Callable[[str], str]
"""Quotes a table's name as its engine does."""


def source_relation(flow: TableFlow, table: Naming, *, distinct: bool = False) -> str:
    """What to select the flow's columns from.

    With ``distinct`` a row that several tables of a union hold is the first one's alone.
    """
    if not flow.parts:
        return table(flow.source)
    if flow.union:
        selects = [
            _rows(flow, part, table, flow.parts[:number] if distinct else ())
            for number, part in enumerate(flow.parts)
        ]
        return f"({' UNION ALL '.join(selects)}) AS strangler_source"
    if len(flow.parts) == 1:
        return f"({_select(flow, flow.parts[0], table)}) AS strangler_source"
    return f"({_joined(flow, table)}) AS strangler_source"


def target_relation(flow: TableFlow, table: Naming) -> str:
    """The rows of the target table that are the flow's business."""
    name = table(flow.target)
    return f"(SELECT * FROM {name} WHERE {flow.owned}) AS strangler_target" if flow.owned else name


def one_key_form(flow: TableFlow, forms: Sequence[object]) -> None:
    """Changes of several tables find one target row by the text of its key.

    ``forms`` says for each part how its key is stored. Raises SchemaError where two do it differently.
    """
    for part, form in zip(flow.parts, forms, strict=True):
        if form != forms[0]:
            first = flow.parts[0]
            raise SchemaError(
                f"tables {first.table!r} ({', '.join(first.key)}) and {part.table!r} ({', '.join(part.key)}) "
                "are one row elsewhere, but their keys are of different types; give both the same type"
            )


def _joined(flow: TableFlow, table: Naming) -> str:
    first, *others = flow.parts
    chosen = {column.target: 0 for column in first.columns}
    for number, part in enumerate(others, 1):
        chosen |= {column.target: number for column in part.columns if column.target not in chosen}
    listed = ", ".join(f"p{number}.{quote(name)} AS {quote(name)}" for name, number in chosen.items())
    joins = "".join(
        f" LEFT JOIN ({_select(flow, part, table)}) AS p{number} ON {_same_key(flow, f'p{number}')}"
        for number, part in enumerate(others, 1)
    )
    return f"SELECT {listed} FROM ({_select(flow, first, table)}) AS p0{joins}"


def _same_key(flow: TableFlow, alias: str) -> str:
    return " AND ".join(f"{alias}.{quote(name)} = p0.{quote(name)}" for name in flow.target_key)


def _rows(flow: TableFlow, part: Part, table: Naming, earlier: Sequence[Part]) -> str:
    """The part's select with every column of the flow, without rows that ``earlier`` parts hold."""
    filled = {column.target: column for column in part.columns}
    columns = [filled.get(column.target, Column(column.target, "NULL", None)) for column in flow.columns]
    name = table(part.table)
    absent = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table(other.table)} AS e WHERE "
        + " AND ".join(
            f"e.{quote(theirs)} = {name}.{quote(ours)}"
            for theirs, ours in zip(other.key, part.key, strict=True)
        )
        + ")"
        for other in earlier
    )
    return f"SELECT {_listed(columns)} FROM {name}" + (f" WHERE {absent}" if absent else "")


def _select(flow: TableFlow, part: Part, table: Naming) -> str:
    named = {column.target for column in part.columns}
    key = [
        Column(target, quote(own), own)
        for target, own in zip(flow.target_key, part.key, strict=True)
        if target not in named
    ]
    where = f" WHERE {part.where}" if part.where else ""
    return f"SELECT {_listed([*key, *part.columns])} FROM {table(part.table)}{where}"


def _listed(columns: Sequence[Column]) -> str:
    return ", ".join(f"{column.expression} AS {quote(column.target)}" for column in columns)
