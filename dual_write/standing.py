"""What can be carried as things stand: the mappings that resolve, and why the others do not."""

from collections.abc import Sequence

import sqlalchemy as sa

from dual_write.errors import SchemaError
from dual_write.mapping import TableMapping
from dual_write.resolve import TableSpec, resolve


def standing(
    specs: Sequence[TableSpec], monolith: sa.Engine, service: sa.Engine
) -> tuple[list[TableMapping], dict[str, SchemaError]]:
    """As ``resolve``, for what is under way: a table that no longer fits keeps its place, and its fault.

    The faults are by the monolith's names. Raises UnreachableError.
    """
    try:
        return resolve(specs, monolith, service), {}
    except SchemaError:
        pass
    mappings: list[TableMapping] = []
    faults: dict[str, SchemaError] = {}
    for spec in specs:
        try:
            mappings += resolve([spec], monolith, service)
        except SchemaError as error:
            faults[spec.monolith] = error
            mappings.append(
                TableMapping(spec.monolith, spec.service or spec.monolith, (), (), (), (), spec.follow)
            )
    return mappings, faults
