"""What the database itself changes when a row goes: foreign keys that cascade into captured tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.dml import Delete

from dual_write import outbox_statement as statements
from dual_write.errors import UncapturedError
from dual_write.outbox_entry import Action, Name
from dual_write.outbox_registry import Registry

_Condition = sa.ColumnElement[bool] | None


def cascade(
    connection: sa.Connection,
    statement: statements.Changing,
    name: Name,
    parameters: Sequence[Mapping[str, Any]],
    registry: Registry,
) -> None:
    """Log the rows of captured tables that the database will change because ``statement`` changes its own.

    The rows that it means are locked first, so that no reference to them can come into being meanwhile.
    Raises UncapturedError where the rows cannot be followed: a table that refers to itself through others.
    """
    deletes = isinstance(statement, Delete)
    changed = set() if deletes else set(statements.assigned(statement, parameters))  # type: ignore[arg-type] # an Update
    first = _following(registry, name, deletes, changed)
    if not first:
        return
    expansion = _Expansion(connection, registry, parameters or [{}])
    if connection.dialect.name == "postgresql":
        locked: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(statement.table)
        if statement.whereclause is not None:
            locked = locked.where(statement.whereclause)
        expansion.execute(locked.with_for_update(of=statement.table))
    for action in first:
        expansion.follow(statement.table, statement.whereclause, action, deletes, [name])


class _Expansion:
    def __init__(
        self, connection: sa.Connection, registry: Registry, parameters: Sequence[Mapping[str, Any]]
    ) -> None:
        self._connection = connection
        self._registry = registry
        self._parameters = parameters

    def execute(self, statement: Any) -> list[Any]:
        """Once for each set of parameters; the rows that it returned."""
        rows: list[Any] = []
        for given in self._parameters:
            result = self._connection.execute(statement, statements.parameters_of(statement, given))
            rows += result.all() if result.returns_rows else []
        return rows

    def follow(
        self, parent: sa.FromClause, condition: _Condition, action: Action, deleted: bool, path: list[Name]
    ) -> None:
        child, reached = statements.reached(parent, condition, action, len(path))
        entry = self._registry.entries.get(action.child)
        if action.child in path:
            if self.execute(sa.select(sa.literal_column("1")).select_from(child).where(reached).limit(1)):
                raise _endless(action)
            return
        takes = deleted and action.takes
        if entry is not None:
            if not takes and set(action.child_columns) & set(entry.key):
                raise _moved(action)
            self.execute(statements.logging(entry, self._connection.dialect.name, child, reached, lock=True))
        for following in _following(self._registry, action.child, takes, set(action.child_columns)):
            self.follow(child, reached, following, takes, [*path, action.child])


def _following(registry: Registry, parent: Name, deleted: bool, changed: set[str]) -> list[Action]:
    return sorted(
        (
            action
            for action in registry.actions
            if action.parent == parent
            and (action.deletes if deleted else action.updates and changed & set(action.parent_columns))
        ),
        key=lambda action: action.child,
    )


def _endless(action: Action) -> UncapturedError:
    return UncapturedError(
        f"the database would change rows of {_name(action.child)!r} by a foreign key that leads back to the "
        "same table, and the outbox cannot follow that. Delete the rows that refer to others first, "
        'or let triggers capture the phase (`capture = "trigger"` in the plan).'
    )


def _moved(action: Action) -> UncapturedError:
    return UncapturedError(
        f"the database would change keys of {_name(action.child)!r} by a foreign key, and the outbox cannot "
        "learn the new ones. Update those rows yourself first, "
        'or let triggers capture the phase (`capture = "trigger"` in the plan).'
    )


def _name(name: Name) -> str:
    return ".".join(filter(None, name))
