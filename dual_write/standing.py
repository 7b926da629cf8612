"""What can be carried as things stand: the mappings that resolve, and why the others do not."""

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from dual_write.errors import SchemaError
from dual_write.mapping import TableMapping
from dual_write.resolve import TableSpec, resolve
from dual_write.sharing import groups


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
    specs = [replace(spec, service=spec.service or spec.monolith) for spec in specs]
    mappings: list[TableMapping] = []
    faults: dict[str, SchemaError] = {}
    for _, numbers in groups(specs):
        together = [specs[number] for number in numbers]
        try:
            mappings += resolve(together, monolith, service)
        except SchemaError as error:
            faults |= {spec.monolith: error for spec in together}
            mappings += [
                TableMapping(spec.monolith, spec.service, (), (), (), (), spec.follow) for spec in together
            ]
    return mappings, faults
