"""How a statement of SQLAlchemy is made to log the rows that it writes to. Pure: nothing is executed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BindParameter, ClauseElement, ColumnElement

from dual_write.errors import UncapturedError
from dual_write.keys import postgresql_expression, sqlite_expression
from dual_write.names import quote
from dual_write.outbox_entry import Action, Entry, Name

Write = Insert | Update | Delete
Changing = Update | Delete
KEY = "strangler_key"
_REMEDY = 'or let triggers capture the phase (`capture = "trigger"` in the plan)'


def change_log(dialect: str) -> sa.Table:
    """The log's table. Its columns have keys that no parameter of the application's has."""
    name, schema = ("strangler_change", None) if dialect == "sqlite" else ("change", "strangler")
    columns = (sa.Column(each, sa.Text, key=f"strangler_{each}") for each in ("stream", "tbl", "key"))
    return sa.Table(name, sa.MetaData(), *columns, schema=schema)


LOGS = {dialect: change_log(dialect) for dialect in ("sqlite", "postgresql")}


def named(table: Any, dialect: sa.Dialect, schemas: Mapping[str | None, str | None]) -> Name | None:
    """What the catalogue calls a statement's table; None for what is no table."""
    table = getattr(table, "element", table)  # an alias's own table
    name = getattr(table, "name", None)
    if not isinstance(name, str):
        return None
    schema = getattr(table, "schema", None)
    schema = schemas.get(schema, schema)
    if dialect.name == "sqlite":
        return "", name.lower()
    return schema or dialect.default_schema_name or "public", name


def key_text(entry: Entry, dialect: str, qualifier: str) -> str:
    """SQL for the key text of the row that ``qualifier`` names."""
    if dialect == "sqlite":
        return sqlite_expression(quote(qualifier), [quote(column) for column in entry.key])
    return postgresql_expression([f"{quote(qualifier)}.{quote(column)}" for column in entry.key], entry.types)


def key_column(entry: Entry, dialect: str, qualifier: str) -> ColumnElement[str]:
    return sa.literal_column(key_text(entry, dialect, qualifier), sa.Text()).label(KEY)


def logging(
    entry: Entry,
    dialect: str,
    rows: sa.FromClause,
    condition: ColumnElement[bool] | None,
    *,
    lock: bool,
) -> Insert:
    """Log the rows of ``rows``, a captured table, that ``condition`` chooses."""
    key = key_column(entry, dialect, _qualifier(rows))
    chosen = sa.select(sa.literal(entry.stream), sa.literal(entry.table), key).select_from(rows)
    if condition is not None:
        chosen = chosen.where(condition)
    if lock and dialect == "postgresql":
        chosen = chosen.with_for_update(of=rows)
    log = LOGS[dialect]
    return sa.insert(log).from_select(list(log.c), chosen)


def self_logging(statement: Changing, entry: Entry, *, moves: bool) -> Changing:
    """The statement with its logging in front (PostgreSQL): lock what it means, log that, write only that.

    ``moves``: it changes keys or deletes, so the lock has to keep out new references to its rows too.
    """
    table, log = statement.table, LOGS["postgresql"]
    qualifier = _qualifier(table)
    names: list[ColumnElement[Any]] = [
        sa.literal_column(f"{quote(qualifier)}.{quote(column)}") for column in entry.key
    ]
    chosen = sa.select(
        *(name.label(f"{KEY}_{number}") for number, name in enumerate(names)),
        key_column(entry, "postgresql", qualifier),
    ).select_from(table)
    if statement.whereclause is not None:
        chosen = chosen.where(statement.whereclause)
    keys = chosen.with_for_update(of=table, key_share=not moves).cte("strangler_keys")
    logged = sa.insert(log).from_select(
        list(log.c), sa.select(sa.literal(entry.stream), sa.literal(entry.table), keys.c[KEY])
    )
    only = sa.select(*(keys.c[f"{KEY}_{number}"] for number in range(len(names))))
    return statement.add_cte(logged.cte("strangler_log")).where(
        (names[0] if len(names) == 1 else sa.tuple_(*names)).in_(only)
    )


def assigned(statement: Update, parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The columns that an update sets, by name, with what it sets them to where the statement says so."""
    said: dict[Any, Any] = dict(statement._values or {})  # no public way leads to these
    said |= dict(getattr(statement, "_ordered_values", None) or ())
    found = {_plain(column): value for column, value in said.items()}
    columns = {column.key: column.name for column in getattr(statement.table, "c", ())}
    for name in parameters[0] if parameters else ():
        found.setdefault(columns.get(name, name), None)
    return found


def require_kept_key(statement: Insert, entry: Entry) -> None:
    """Raises UncapturedError for an upsert that may give the row it hits another key."""
    clause = getattr(statement, "_post_values_clause", None)
    sets = dict(getattr(clause, "update_values_to_set", None) or {})
    by_key = sorted(map(_plain, getattr(clause, "inferred_target_elements", None) or ())) == sorted(entry.key)
    for column, value in sets.items():
        name, same = _plain(column), getattr(getattr(value, "table", None), "name", None) == "excluded"
        if name not in entry.key or (by_key and same and _plain(value) == name):
            continue
        raise UncapturedError(
            f"an upsert of {entry.table!r} sets its key, and does not go by the key: the outbox cannot tell "
            f"the key that its row had. Leave {', '.join(entry.key)} out of `set_`, {_REMEDY}."
        )


def arrivals(
    entry: Entry, statement: Update, assignments: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Insert:
    """Log the rows that have the key values which an update of many rows, one by one, has given them.

    Where it sets a part of the key only, that is a superset, which does no harm: a logged row is read again.
    """
    columns = {column.name: column for column in statement.table.c}
    conditions = []
    for name in entry.key:
        if name not in assignments:
            continue
        column = columns.get(name)
        value = assignments[name]
        key = value.key if isinstance(value, BindParameter) else getattr(column, "key", name)
        if column is None or (value is not None and not isinstance(value, BindParameter)):
            raise _unlearnable(entry)
        if key in parameters:
            conditions.append(column == parameters[key])
        elif isinstance(value, BindParameter):
            conditions.append(column == value.effective_value)
        else:
            raise _unlearnable(entry)
    dialect = "postgresql" if entry.types else "sqlite"
    return logging(entry, dialect, statement.table, sa.and_(*conditions), lock=False)


def reached(
    parent: sa.FromClause, condition: ColumnElement[bool] | None, action: Action, depth: int
) -> tuple[sa.FromClause, ColumnElement[bool]]:
    """The child's table, and which of its rows ``action`` changes when it happens to those of ``parent``."""
    schema, name = action.child
    plain = sa.table(name, *(sa.column(each) for each in action.child_columns), schema=schema or None)
    child = plain.alias(f"strangler_child_{depth}")  # a table may refer to itself
    own: list[ColumnElement[Any]] = [
        sa.literal_column(f"{quote(_qualifier(parent))}.{quote(each)}") for each in action.parent_columns
    ]
    theirs = sa.select(*own).select_from(parent)
    if condition is not None:
        theirs = theirs.where(condition)
    columns = [child.c[each] for each in action.child_columns]
    return child, (columns[0] if len(columns) == 1 else sa.tuple_(*columns)).in_(theirs)


def parameters_of(statement: ClauseElement, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``given`` that ``statement`` has."""
    wanted = {each.key for each in visitors.iterate(statement) if isinstance(each, BindParameter)}
    return {name: value for name, value in given.items() if name in wanted}


def unseen(tables: Sequence[str]) -> UncapturedError:
    """For a statement given as text."""
    return UncapturedError(
        f"a statement given as text writes to {', '.join(tables)}, whose changes the outbox has to log, and "
        "text does not tell which rows. Write it with SQLAlchemy's insert(), update() and delete(), "
        f"{_REMEDY}."
    )


def _unlearnable(entry: Entry) -> UncapturedError:
    return UncapturedError(
        f"an update of many rows of {entry.table!r} gives them keys that the database computes, so the "
        f"outbox cannot log the new ones. Update them one by one, {_REMEDY}."
    )


def _plain(column: Any) -> str:
    return str(getattr(column, "name", column))


def _qualifier(table: Any) -> str:
    return str(table.name)
