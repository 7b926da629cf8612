"""What can be said about the tables of a phase once they are mapped: ways back, and rows of split tables."""

from collections.abc import Iterator, Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn

from dual_write.flows import flows
from dual_write.mapping import TableMapping
from dual_write.names import located, quote, table_in, table_name
from dual_write.relation import source_relation
from dual_write.sharing import groups
from flags.side import Side
from migration.doctor_databases import Fact
from migration.plan import Table


def together(tables: Sequence[Table]) -> list[tuple[Side | None, list[Table]]]:
    """The tables that can only be judged as a group, and the side on which they share one."""
    found = groups([table.spec() for table in tables])
    return [(side, [tables[number] for number in numbers]) for side, numbers in found]


def facts(
    tables: Sequence[Table],
    mappings: Sequence[TableMapping],
    shared: Side | None,
    monolith: sa.Engine,
    service: sa.Engine,
) -> Iterator[tuple[Table, Fact]]:
    """What is good or wrong with each of a group of tables. Asks for counts alone, and changes nothing."""
    engines = {Side.MONOLITH: monolith, Side.SERVICE: service}
    by_columns = shared is Side.MONOLITH and not mappings[0].where
    joint = {column.target for mapping in mappings for column in mapping.backward or ()}
    for number, (table, mapping) in enumerate(zip(tables, mappings, strict=True)):
        back = joint if by_columns else {column.target for column in mapping.backward or ()}
        dropped = {name for each in (tables if by_columns else [table]) for name in each.drop}
        # Of a row that is made of several tables' it is told once what it lacks.
        lost = _columns(monolith, mapping.monolith) - back - dropped if not (by_columns and number) else set()
        yield table, _way_back(mapping, sorted(lost))
    if mappings[0].where:
        about = engines[shared or Side.MONOLITH]
        if not mappings[0].follow:
            yield tables[0], _conditions(about, mappings, shared or Side.MONOLITH)
        if shared is not None:
            yield from ((tables[0], fact) for fact in _keys(engines[shared.other], mappings, shared))
    elif shared is not None:
        needed = _needed(engines[shared], mappings[0].table(shared))
        for table, mapping in list(zip(tables, mappings, strict=True))[1:]:
            if lacking := sorted(needed & _filled(mapping, shared) - {*mapping.key(shared)}):
                yield table, _maybe_absent(mapping, shared, lacking)


def _way_back(mapping: TableMapping, lost: Sequence[str]) -> Fact:
    if mapping.follow:
        return Fact("can be carried; it stays the monolith's")
    if mapping.backward is None:
        return Fact(
            "can be carried, but not back: the phase cannot go live, as a rollback would lose writes",
            good=False,
            remedy="Say under `reverse` how each of the monolith's columns is made from the service's row.",
        )
    if lost:
        return Fact(
            f"can be carried, and back except for {', '.join(lost)}: "
            "rows that the service makes will lack it",
            good=False,
            remedy="Say under `reverse` how it is made from the service's row, "
            "or under `drop` that this is meant.",
        )
    return Fact("can be carried, and back")


def _maybe_absent(mapping: TableMapping, shared: Side, lacking: Sequence[str]) -> Fact:
    whole, part = mapping.table(shared), mapping.table(shared.other)
    return Fact(
        f"{', '.join(lacking)} of {whole!r} may not be NULL, and comes from {part!r}: a row without one "
        f"there cannot be carried to {whole!r}, and is parked",
        good=False,
        remedy=f"See that the {shared.other} writes both in one transaction, or let the column be NULL.",
    )


def _filled(mapping: TableMapping, side: Side) -> set[str]:
    columns = mapping.forward if side is Side.SERVICE else mapping.backward or ()
    return {column.target for column in columns}


def _needed(engine: sa.Engine, table: str) -> set[str]:
    return {column["name"] for column in _described(engine, table) if not column["nullable"]}


def _described(engine: sa.Engine, table: str) -> Sequence[ReflectedColumn]:
    return sa.inspect(engine).get_columns(*located(engine.dialect.name, table))


def _columns(monolith: sa.Engine, table: str) -> set[str]:
    return {column["name"] for column in _described(monolith, table)}


def _conditions(engine: sa.Engine, mappings: Sequence[TableMapping], side: Side) -> Fact:
    """Whether each row of the split table meets exactly one condition."""
    table = mappings[0].table(side)
    met = " + ".join(f"CASE WHEN ({mapping.where}) THEN 1 ELSE 0 END" for mapping in mappings)
    counted = (
        f"SELECT coalesce(sum(CASE WHEN met = 0 THEN 1 ELSE 0 END), 0), "
        f"coalesce(sum(CASE WHEN met > 1 THEN 1 ELSE 0 END), 0) "
        f"FROM (SELECT {met} AS met FROM {table_in(engine.dialect.name, table)}) AS rows_met"
    )
    [(none, several)] = _asked(engine, counted)
    if several:
        return Fact(
            f"{several} rows of {table!r} meet more than one `where`, so two rows would stand for one",
            good=False,
            fatal=True,
            remedy="Write the conditions so that a row meets exactly one.",
        )
    if none:
        return Fact(
            f"{none} rows of {table!r} meet no `where`: they are not carried, and nobody can write to them "
            "while the service owns the table",
            good=False,
            remedy="Write the conditions so that each row meets one, unless these rows are meant to stay.",
        )
    return Fact(f"each row of {table!r} meets exactly one `where`")


def _keys(engine: sa.Engine, mappings: Sequence[TableMapping], shared: Side) -> Iterator[Fact]:
    """Whether the tables that hold the rows of one can keep their keys apart."""
    if shared is Side.MONOLITH and any(mapping.backward is None for mapping in mappings):
        return
    [flow] = flows(mappings, shared)
    names = ", ".join(mapping.table(shared.other) for mapping in mappings)
    key = ", ".join(quote(name) for name in flow.source_key)
    relation = source_relation(flow, partial(table_in, engine.dialect.name))
    if _asked(engine, f"SELECT {key} FROM {relation} GROUP BY {key} HAVING count(*) > 1 LIMIT 1"):
        yield Fact(
            f"{names} hold rows with the same key, which would be one row of {flow.target!r}",
            good=False,
            fatal=True,
            remedy="Give these rows keys of their own; such keys are parked.",
        )
    numbering = [
        mapping.table(shared.other) for mapping in mappings if _numbers(engine, mapping, shared.other)
    ]
    if len(numbering) > 1:
        yield Fact(
            f"{', '.join(numbering)} each number their rows, so two of them can give out the same key, and "
            f"only one such row can be carried to {flow.target!r}",
            good=False,
            remedy="Let them draw from one sequence, or let the application choose keys that differ.",
        )


def _numbers(engine: sa.Engine, mapping: TableMapping, side: Side) -> bool:
    """Whether the database itself gives the table's rows their keys."""
    table, key = mapping.table(side), mapping.key(side)
    if engine.dialect.name == "sqlite":
        types = {column["name"]: str(column["type"]) for column in _described(engine, table)}
        return len(key) == 1 and types[key[0]].upper() == "INTEGER"
    return any(
        _asked(engine, "SELECT pg_get_serial_sequence(:table, :name)", table=table_name(table), name=name)
        != [(None,)]
        for name in key
    )


def _asked(engine: sa.Engine, sql: str, **values: str) -> list[tuple[object, ...]]:
    """The plan's own words are SQL: nothing in them is a parameter."""
    with engine.connect() as connection:
        if values:
            return [tuple(row) for row in connection.execute(sa.text(sql), values)]
        literal = sql.replace("%", "%%") if engine.dialect.name == "postgresql" else sql
        return [tuple(row) for row in connection.exec_driver_sql(literal)]
