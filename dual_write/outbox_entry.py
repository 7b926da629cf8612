"""What the outbox has to know of a captured table: `sync` leaves it in the database, the application reads.

SQLite and PostgreSQL keep it in places of their own (``sqlite_outbox``, ``postgresql_outbox``); this is the
text that is kept.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

Name = tuple[str, str]
"""A table's schema and name as its catalogue has them; SQLite's schema is ``""``, the name lower case."""


@dataclass(frozen=True, slots=True)
class Action:
    """A foreign key by which the database itself changes rows of ``child``.

    ``deletes`` and ``updates``: whether it does so when a row of ``parent`` is deleted, or changes what the
    key refers to; ``takes`` says that the child's row is then deleted rather than set to something.
    """

    child: Name
    child_columns: tuple[str, ...]
    parent: Name
    parent_columns: tuple[str, ...]
    deletes: bool
    updates: bool
    takes: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A captured table. ``table`` is what the log calls it; ``types`` are PostgreSQL's names of the key's."""

    stream: str
    table: str
    name: Name
    key: tuple[str, ...]
    types: tuple[str, ...]
    actions: tuple[Action, ...]

    def text(self) -> str:
        return json.dumps(asdict(self))


def entry(text: str) -> Entry:
    """The entry behind its text."""
    parsed = json.loads(text)
    actions = tuple(
        Action(
            child=_name(each["child"]),
            child_columns=tuple(each["child_columns"]),
            parent=_name(each["parent"]),
            parent_columns=tuple(each["parent_columns"]),
            deletes=each["deletes"],
            updates=each["updates"],
            takes=each["takes"],
        )
        for each in parsed["actions"]
    )
    return Entry(
        stream=parsed["stream"],
        table=parsed["table"],
        name=_name(parsed["name"]),
        key=tuple(parsed["key"]),
        types=tuple(parsed["types"]),
        actions=actions,
    )


def upstream(actions: Iterable[Action], table: Name) -> Iterator[Action]:
    """Those of ``actions`` by which a change of any other table can reach ``table``."""
    known = list(actions)
    reached, waiting = {table}, [table]
    while waiting:
        child = waiting.pop()
        for action in known:
            if action.child == child:
                yield action
                if action.parent not in reached:
                    reached.add(action.parent)
                    waiting.append(action.parent)


def _name(parts: list[str]) -> Name:
    schema, name = parts
    return schema, name
