"""From what the plan says about a table, and what both databases really have, to a mapping that can run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import sqlalchemy as sa

from dual_write.channel import Channel
from dual_write.database import unreachable
from dual_write.databases import adapter
from dual_write.errors import MappingError, SchemaError
from dual_write.mapping import Column, TableMapping
from dual_write.stream import streams

Rule = str | Mapping[str, Any]
"""What fills a service column: a monolith column's name, or one of {"column", "cast"}, {"sql"}, {"value"}."""


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One [[phases.tables]] of the plan. ``service`` defaults to the monolith's name."""

    monolith: str
    service: str = ""
    columns: Mapping[str, Rule] = field(default_factory=dict)
    drop: Sequence[str] = ()
    reverse: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False
    triggers: str = "suppress"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table as its database describes it: its columns by name, and which of them may be left out."""

    name: str
    columns: Sequence[str]
    optional: frozenset[str]
    key: tuple[str, ...]


def resolve(
    specs: Sequence[TableSpec], monolith_engine: sa.Engine, service_engine: sa.Engine
) -> list[TableMapping]:
    """The mappings of ``specs``, proven against both databases in each direction that they can run in.

    Raises SchemaError, which names the table and the column and says what to do, and UnreachableError.
    """
    with _reflecting(monolith_engine) as monolith, _reflecting(service_engine) as service:
        mappings = [_mapping(spec, monolith, service) for spec in specs]
    _prove(mappings, monolith_engine, service_engine)
    return mappings


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


def _mapping(spec: TableSpec, monolith: sa.Inspector, service: sa.Inspector) -> TableMapping:
    source = _table(monolith, spec.monolith, "monolith")
    target = _table(service, spec.service or spec.monolith, "service")
    for names, table, where in (
        (spec.drop, source, "drop"),
        (spec.reverse, source, "reverse"),
        (spec.columns, target, "columns"),
    ):
        for name in names:
            _known(name, table, where)
    forward = tuple(_forward(spec, source, target, monolith.dialect.name))
    own = {column.target: column.source for column in forward}
    key = {name: own.get(name) for name in target.key}
    if set(key.values()) != set(source.key):
        raise SchemaError(
            f"table {target.name!r}: its key ({', '.join(target.key)}) is not the monolith's key of "
            f"{source.name!r} ({', '.join(source.key)}) under other names. "
            "Map each key column to one key column, without cast or expression."
        )
    service_key = {source_name: name for name, source_name in key.items()}
    return TableMapping(
        source.name,
        target.name,
        source.key,
        tuple(service_key[name] for name in source.key),
        forward,
        None if spec.follow else _backward(spec, source, target, forward),
        spec.follow,
        spec.triggers == "suppress",
    )


def _forward(spec: TableSpec, source: _Table, target: _Table, dialect: str) -> Iterator[Column]:
    for name in target.columns:
        rule = spec.columns.get(name)
        if rule is None and name in source.columns and name not in spec.drop:
            rule = name
        if rule is not None:
            yield _column(name, rule, source, dialect)
        elif name not in target.optional:
            hint = f" Did you mean the monolith's {near!r}?" if (near := _near(name, source.columns)) else ""
            raise SchemaError(
                f"table {target.name!r}: nothing fills its column {name!r}, which may not be NULL and has no "
                f"default. Say under `columns` what does.{hint}"
            )


def _column(name: str, rule: Rule, source: _Table, dialect: str) -> Column:
    if isinstance(rule, str):
        rule = {"column": rule}
    match {key: value for key, value in rule.items() if value is not None}:
        case {"column": str(column), "cast": str(cast)}:
            return Column(name, f"CAST({_quoted(_known(column, source, 'columns'))} AS {cast})", None)
        case {"column": str(column)}:
            return Column(name, _quoted(_known(column, source, "columns")), column)
        case {"sql": str(expression)}:
            return Column(name, f"({expression})", None)
        case {"value": value}:
            return Column(name, _literal(value, dialect), None)
        case _:
            raise SchemaError(f"column {name!r}: give a column's name, or one of `column`, `sql` and `value`")


def _backward(
    spec: TableSpec, source: _Table, target: _Table, forward: Sequence[Column]
) -> tuple[Column, ...] | None:
    carried = {column.source: column.target for column in forward if column.source is not None}
    columns = []
    for name in source.columns:
        if (expression := spec.reverse.get(name)) is not None:
            bare = expression in target.columns
            columns.append(
                Column(name, _quoted(expression) if bare else f"({expression})", expression if bare else None)
            )
        elif name in carried:
            columns.append(Column(name, _quoted(carried[name]), carried[name]))
        elif name not in source.optional:
            return None
    return tuple(columns)


def _table(inspector: sa.Inspector, name: str, side: str) -> _Table:
    schema, table = _split(inspector, name)
    if not inspector.has_table(table, schema):
        hint = f" Did you mean {near!r}?" if (near := _near(table, inspector.get_table_names(schema))) else ""
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
    return _Table(name, [column["name"] for column in described], optional - set(key), key)


def _split(inspector: sa.Inspector, name: str) -> tuple[str | None, str]:
    schema, dot, table = name.partition(".")
    return (schema, table) if dot and inspector.dialect.name == "postgresql" else (None, name)


def _known(column: str, table: _Table, where: str) -> str:
    if column in table.columns:
        return column
    hint = f" Did you mean {near!r}?" if (near := _near(column, table.columns)) else ""
    raise SchemaError(f"table {table.name!r} has no column {column!r} (named under `{where}`).{hint}")


def _near(name: str, names: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(name, names, 1)), None)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: object, dialect: str) -> str:
    if isinstance(value, bool):
        return str(value).upper() if dialect == "postgresql" else str(int(value))
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"
