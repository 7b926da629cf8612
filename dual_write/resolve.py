"""From what the plan says about tables, and what both databases really have, to mappings that can run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import sqlalchemy as sa

from dual_write import filling
from dual_write.channel import Channel
from dual_write.database import unreachable
from dual_write.databases import adapter
from dual_write.errors import MappingError, SchemaError
from dual_write.filling import Filled, Table, TableSpec, near_to
from dual_write.mapping import Column, TableMapping
from dual_write.names import located
from dual_write.sharing import faults, groups
from dual_write.stream import streams
from dual_write.tolerance import Tolerance
from flags.side import Side

__all__ = ["TableSpec", "resolve"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of the plan with its two tables; ``keys`` are pairs of monolith and service columns."""

    spec: TableSpec
    source: Table
    target: Table
    keys: tuple[tuple[str, str], ...]
    forward: Mapping[str, Filled]
    backward: Mapping[str, Filled]


def resolve(
    specs: Sequence[TableSpec], monolith_engine: sa.Engine, service_engine: sa.Engine
) -> list[TableMapping]:
    """The mappings of ``specs``, proven against both databases in each direction that they can run in.

    Raises SchemaError, which names the table and the column and says what to do, and UnreachableError.
    """
    specs = [replace(spec, service=spec.service or spec.monolith) for spec in specs]
    for number, text in faults(specs):
        raise SchemaError(f"table {specs[number].monolith!r} → {specs[number].service!r}: {text}")
    with _reflecting(monolith_engine) as monolith, _reflecting(service_engine) as service:
        entries = [_entry(spec, monolith, service) for spec in specs]
    mappings: dict[int, TableMapping] = {}
    for side, numbers in groups(specs):
        mappings |= zip(numbers, _mappings([entries[number] for number in numbers], side), strict=True)
    ordered = [mappings[number] for number in sorted(mappings)]
    _prove(ordered, monolith_engine, service_engine)
    return ordered


@contextmanager
def _reflecting(engine: sa.Engine) -> Iterator[sa.Inspector]:
    try:
        inspector = sa.inspect(engine)
    except sa.exc.OperationalError as error:
        raise unreachable(engine.url, error) from error
    yield inspector


def _prove(mappings: Sequence[TableMapping], monolith_engine: sa.Engine, service_engine: sa.Engine) -> None:
    monolith, service = adapter(monolith_engine.url), adapter(service_engine.url)
    sides = {"monolith": monolith, "service": service}
    try:
        for stream in streams("", mappings):
            try:
                stream.flows()
            except MappingError:
                continue  # it cannot run backwards: the gate before `live` says so
            Channel(stream, sides[stream.to.other], sides[stream.to]).prove()
    finally:
        monolith.dispose()
        service.dispose()


def _entry(spec: TableSpec, monolith: sa.Inspector, service: sa.Inspector) -> _Entry:
    source = _table(monolith, spec.monolith, "monolith")
    target = _table(service, spec.service, "service")
    _require_tolerable(spec, source, target)
    for names, table, where in (
        (spec.drop, source, "drop"),
        (spec.reverse, source, "reverse"),
        (spec.columns, target, "columns"),
    ):
        for name in names:
            filling.known(name, table, where)
    there = filling.forward(spec, source, target, monolith.dialect.name)
    own = {name: there[name].column.source for name in target.key if name in there}
    if set(own) != set(target.key) or set(own.values()) != set(source.key):
        raise SchemaError(
            f"table {target.name!r}: its key ({', '.join(target.key)}) is not the monolith's key of "
            f"{source.name!r} ({', '.join(source.key)}) under other names. "
            "Map each key column to one key column, without cast or expression."
        )
    service_key = {source_name: name for name, source_name in own.items()}
    back = {} if spec.follow else filling.backward(spec, source, target, there, service.dialect.name)
    return _Entry(spec, source, target, tuple((name, service_key[name]) for name in source.key), there, back)


def _require_tolerable(spec: TableSpec, source: Table, target: Table) -> None:
    for name, amount in spec.tolerance.items():
        if name not in source.columns:
            filling.known(name, target, "tolerance")
        if name in {*target.key, *source.key}:
            raise SchemaError(
                f"table {target.name!r}: {name!r} tells rows apart, and has to do so exactly. "
                "Take it out of `tolerance`."
            )
        Tolerance.of(amount)


def _mappings(entries: Sequence[_Entry], side: Side | None) -> list[TableMapping]:
    """Of entries that share a table on ``side``, or of one alone."""
    by_columns = side is not None and not entries[0].spec.where
    if by_columns and side is Side.SERVICE:
        parts = filling.settled([each.forward for each in entries], entries[0].target, entries[0].target.key)
        entries = [replace(each, forward=part) for each, part in zip(entries, parts, strict=True)]
    elif by_columns:
        parts = filling.settled([each.backward for each in entries], entries[0].source, entries[0].source.key)
        entries = [replace(each, backward=part) for each, part in zip(entries, parts, strict=True)]
    together = entries if by_columns else []
    _require_forward(entries, side, together if side is Side.SERVICE else [])
    ways_back = _ways_back(entries, side, together if side is Side.MONOLITH else [])
    order = [name for _, name in entries[0].keys]
    return [
        _mapping(each, back, _condition(each, side), order if side is Side.SERVICE else None)
        for each, back in zip(entries, ways_back, strict=True)
    ]


def _mapping(
    entry: _Entry, back: tuple[Column, ...] | None, where: str, order: Sequence[str] | None
) -> TableMapping:
    """``order``: in which the service's key columns come in every entry that fills its table."""
    keys = sorted(entry.keys, key=lambda pair: order.index(pair[1])) if order else entry.keys
    return TableMapping(
        entry.source.name,
        entry.target.name,
        tuple(own for own, _ in keys),
        tuple(name for _, name in keys),
        tuple(filled.column for filled in entry.forward.values()),
        back,
        entry.spec.follow,
        entry.spec.triggers == "suppress",
        where,
        tuple(entry.spec.tolerance.items()),
    )


def _require_forward(entries: Sequence[_Entry], side: Side | None, together: Sequence[_Entry]) -> None:
    """Raises SchemaError for a column that has to be filled and is not."""
    joint = {name: filled for each in together for name, filled in each.forward.items()}
    for each in entries:
        asked = filling.asked(each.spec.where, each.target) if side is Side.SERVICE else ()
        if (fault := filling.unfilled(joint or each.forward, each.source, each.target, asked)) is not None:
            raise SchemaError(fault)


def _ways_back(
    entries: Sequence[_Entry], side: Side | None, together: Sequence[_Entry]
) -> list[tuple[Column, ...] | None]:
    """None for each entry from which the monolith's row cannot be made again."""
    joint = {name: filled for each in together for name, filled in each.backward.items()}
    ways: list[tuple[Column, ...] | None] = []
    for each in entries:
        needed = {*each.source.columns} - each.source.optional
        # A row that no longer met its own condition would be lost on the way there and back.
        needed |= {*filling.asked(each.spec.where, each.source)} if side is not Side.SERVICE else set()
        possible = not each.spec.follow and needed <= {*(joint or each.backward)}
        ways.append(tuple(filled.column for filled in each.backward.values()) if possible else None)
    return ways


def _condition(entry: _Entry, side: Side | None) -> str:
    if not entry.spec.optional:
        return entry.spec.where
    if side is Side.SERVICE:
        return filling.present(entry.backward, entry.source.key, entry.source.name)
    return filling.present(entry.forward, entry.target.key, entry.target.name)


def _table(inspector: sa.Inspector, name: str, side: str) -> Table:
    table, schema = located(inspector.dialect.name, name)
    if not inspector.has_table(table, schema):
        hint = (
            f" Did you mean {near!r}?" if (near := near_to(table, inspector.get_table_names(schema))) else ""
        )
        raise SchemaError(f"the {side}'s database has no table {name!r}.{hint}")
    key = tuple(inspector.get_pk_constraint(table, schema)["constrained_columns"])
    if not key:
        raise SchemaError(
            f"table {name!r} of the {side} has no primary key, so its rows cannot be told apart. Give it one."
        )
    described = [column for column in inspector.get_columns(table, schema) if "computed" not in column]
    optional = frozenset(
        column["name"]
        for column in described
        if column["nullable"] or column.get("default") is not None or "identity" in column
    )
    return Table(name, [column["name"] for column in described], optional - set(key), key)
