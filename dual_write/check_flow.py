"""A table of two databases that no plan knows: compared column by column under the same names."""

from collections.abc import Sequence
from difflib import get_close_matches

import sqlalchemy as sa

from dual_write.errors import SchemaError
from dual_write.mapping import Column, TableFlow
from dual_write.names import located, quote


def flow_between(
    source: sa.Engine, target: sa.Engine, table: str, *, named: str | None = None, ignore: Sequence[str] = ()
) -> TableFlow:
    """The flow of ``table`` to the target's table of that name, or ``named``; without columns to ``ignore``.

    Where a side has no primary key, the flow has none either, and rows are counted instead of looked up.
    Raises SchemaError for a table that is not there, and for columns that only one side has: a check that
    left them out by itself would vouch for less than it seems to.
    """
    ours, theirs = sa.inspect(source), sa.inspect(target)
    columns, key = _described(ours, table, "source")
    others, other_key = _described(theirs, named or table, "target")
    unknown = sorted({*ignore} - {*columns, *others})
    if unknown:
        raise SchemaError(
            f"neither side has a column {unknown[0]!r} that could be ignored; they have "
            f"{', '.join(dict.fromkeys((*columns, *others)))}"
        )
    alone = sorted(({*columns} ^ {*others}) - {*ignore})
    if alone:
        raise SchemaError(
            f"only one side of table {table!r} has {', '.join(alone)}; leave such columns out by name with "
            f"{' '.join(f'--ignore {name}' for name in alone)}, or map them in a plan"
        )
    if not key or not other_key:
        key = ()
    elif key != other_key:
        raise SchemaError(
            f"the key of table {table!r} is ({', '.join(key)}) at the source and ({', '.join(other_key)}) "
            "at the target; map one to the other in a plan"
        )
    compared = [name for name in columns if name not in ignore or name in key]
    return TableFlow(
        table, named or table, key, key, tuple(Column(name, quote(name), name) for name in compared)
    )


def _described(inspector: sa.Inspector, name: str, role: str) -> tuple[list[str], tuple[str, ...]]:
    table, schema = located(inspector.dialect.name, name)
    if not inspector.has_table(table, schema):
        near = get_close_matches(table, inspector.get_table_names(schema), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SchemaError(f"the {role} has no table {name!r}.{hint}")
    key = tuple(inspector.get_pk_constraint(table, schema)["constrained_columns"])
    return [column["name"] for column in inspector.get_columns(table, schema)], key
