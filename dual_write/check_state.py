"""How far the check of a table has come, so that another process can go on where one was killed."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dual_write.canonical import Clock, Day, Json, Moment, Value
from dual_write.changes import Mark
from dual_write.digest_keys import Key
from dual_write.mapping import TableFlow


@dataclass(frozen=True, slots=True)
class TableState:
    """``rows`` of the source up to the key ``after`` are compared, all of them when ``done``.

    ``suspects`` differed, whether judged or not: whoever goes on judges them by what they are like then.
    ``pushed_down`` says which order of keys ``after`` is in.
    """

    pushed_down: bool
    after: Key | None = None
    rows: int = 0
    suspects: tuple[Key, ...] = ()
    done: bool = False
    tolerated: Mapping[str, int] = field(default_factory=dict)


class Memory(ABC):
    """Keeps states for whoever goes on with the same check. ``keep`` must not fail, but may forget."""

    @property
    @abstractmethod
    def started(self) -> datetime:
        """When the check began, in whichever process that was."""

    @abstractmethod
    def mark(self, take: Callable[[], Mark | None]) -> Mark | None:
        """The mark that the check began with; taken now if it begins now."""

    @abstractmethod
    def recall(self, flow: TableFlow) -> TableState | None: ...

    @abstractmethod
    def keep(self, flow: TableFlow, state: TableState) -> None: ...


def to_text(state: TableState) -> str:
    """The state as ASCII."""
    return json.dumps(
        {
            "pushed_down": state.pushed_down,
            "after": None if state.after is None else _keys([state.after])[0],
            "rows": state.rows,
            "suspects": _keys(state.suspects),
            "done": state.done,
            "tolerated": dict(state.tolerated),
        }
    )


def from_text(text: str) -> TableState:
    """Raises ValueError or KeyError for what ``to_text`` did not write."""
    said = json.loads(text)
    return TableState(
        said["pushed_down"],
        None if said["after"] is None else _key(said["after"]),
        said["rows"],
        tuple(map(_key, said["suspects"])),
        said["done"],
        said.get("tolerated", {}),
    )


def _keys(keys: Any) -> list[list[Any]]:
    return [[_written(value) for value in key] for key in keys]


def _key(values: list[Any]) -> Key:
    return tuple(map(_read, values))


def _written(value: Value) -> Any:
    """JSON that tells apart what JSON itself does not."""
    match value:
        case Moment(number) | Day(number) | Clock(number):
            return {type(value).__name__: number}
        case Json(text):
            return {"Json": text}
        case float():
            return {"float": value.hex()}
        case bytes():
            return {"bytes": value.hex()}
        case Decimal() | UUID():
            return {type(value).__name__: str(value)}
        case _:
            return value


_READERS = {
    "Moment": Moment,
    "Day": Day,
    "Clock": Clock,
    "Json": Json,
    "float": float.fromhex,
    "bytes": bytes.fromhex,
    "Decimal": Decimal,
    "UUID": UUID,
}


def _read(written: Any) -> Value:
    if not isinstance(written, dict):
        return written  # type: ignore[no-any-return]  # what JSON has itself
    [(kind, value)] = written.items()
    return _READERS[kind](value)  # type: ignore[no-any-return,operator]  # each reads what _written wrote
