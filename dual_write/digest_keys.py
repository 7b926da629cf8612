"""Keys: in which order a side walks its table, and how a key is written so that this side finds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from uuid import UUID

from dual_write.canonical import EPOCH, Clock, Day, Kind, Moment, Value
from dual_write.digest_types import Declared
from dual_write.errors import SchemaError

Key = tuple[Value, ...]
"""The logical values of one row's key, in the order of the flow's key columns."""

_INFINITIES: Mapping[int, str] = {2**63 - 1: "infinity", -(2**63): "-infinity"}
_PLAIN_TEXT = {"text", "character varying"}
_NUMBERS = {Kind.INTEGER, Kind.BOOLEAN, Kind.NUMERIC, Kind.FLOAT, Kind.SINGLE}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One key column on one side: ``match`` finds equal keys, ``order`` is what the table is walked by.

    ``type`` is PostgreSQL's for ``match``.
    """

    match: str
    order: str
    type: str
    declared: Declared
    postgresql: bool

    def forms(self, value: Value) -> tuple[object, ...]:
        """The parameters that ``value`` may be stored as; ranges use the first."""
        try:
            return _forms(value, self.declared, self.postgresql)
        except OverflowError as error:
            raise SchemaError(
                f"key column {self.match} holds a moment outside the years 1 to 9999, which cannot be "
                "looked up on both sides; correct the row, or choose another key for the table"
            ) from error


def key_column(
    name: str, kind: Kind, declared: Declared, *, postgresql: bool, collated_alike: bool
) -> KeyColumn:
    """``name`` comes quoted. ``collated_alike``: one collation, with its index, sorts text on both sides."""
    if postgresql:
        return KeyColumn(*_postgresql_column(name, kind, declared, collated_alike), declared, postgresql)
    match, order = _sqlite_column(name, kind, declared)
    return KeyColumn(match, order, "", declared, postgresql)


def alternatives(columns: Sequence[KeyColumn], key: Key) -> list[tuple[object, ...]]:
    """Every way in which ``key`` may be stored."""
    return list(product(*(column.forms(value) for column, value in zip(columns, key, strict=True))))


def bound(columns: Sequence[KeyColumn], key: Key) -> tuple[object, ...]:
    """``key`` as the end of a range."""
    return tuple(column.forms(value)[0] for column, value in zip(columns, key, strict=True))


def arrays(columns: Sequence[KeyColumn], keys: Sequence[Key]) -> tuple[list[object], ...]:
    """``keys`` as one array for each column of PostgreSQL."""
    stored = zip(*(values for key in keys for values in alternatives(columns, key)), strict=True)
    return tuple(map(_of_one_type, stored))


def _of_one_type(values: Sequence[object]) -> list[object]:
    # The driver refuses an array of whole and broken numbers; as text the server reads each as its own.
    return list(values) if len(set(map(type, values))) == 1 else list(map(str, values))


def _postgresql_column(
    name: str, kind: Kind, declared: Declared, collated_alike: bool
) -> tuple[str, str, str]:
    if kind is Kind.PADDED and not collated_alike:
        trimmed = f"rtrim(({name})::text, ' ')"
        return trimmed, f'{trimmed} COLLATE "C"', "text"
    if kind in {Kind.TEXT, Kind.OPAQUE} and declared.name not in _PLAIN_TEXT:
        return f"({name})::text", f'({name})::text COLLATE "C"', "text"
    if declared.kind is Kind.BOOLEAN and kind is not Kind.BOOLEAN:
        return f"({name})::int", f"({name})::int", "int"
    if declared.name in _PLAIN_TEXT and not collated_alike:
        return name, f'{name} COLLATE "C"', declared.name
    # character alone would mean a single one.
    return name, name, "bpchar" if declared.name == "character" else declared.name


def _sqlite_column(name: str, kind: Kind, declared: Declared) -> tuple[str, str]:
    if kind is Kind.PADDED:
        trimmed = f"rtrim({name}, ' ') COLLATE BINARY"
        return trimmed, trimmed
    if kind is Kind.TEXT and declared.kind is Kind.INTEGER:
        return f"CAST({name} AS TEXT)", f"CAST({name} AS TEXT)"
    exact = name if declared.kind in _NUMBERS else f"{name} COLLATE BINARY"
    return exact, exact


def _forms(value: Value, declared: Declared, postgresql: bool) -> tuple[object, ...]:
    forms: tuple[object, ...]
    match value:
        case Moment(microseconds):
            forms = _moment_forms(microseconds, postgresql)
        case Day(days):
            forms = ((EPOCH.date() + timedelta(days=days)).isoformat(),)
        case Clock(microseconds):
            clock = _moment(microseconds).time()
            forms = tuple(dict.fromkeys((clock.isoformat("microseconds"), clock.isoformat())))
        case UUID():
            forms = _uuid_forms(value, declared, postgresql)
        case Decimal() if not postgresql:
            forms = (int(value) if value == value.to_integral_value() else float(value),)
        case _:
            forms = (value,)
    return forms


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _moment_forms(microseconds: int, postgresql: bool) -> tuple[str, ...]:
    if postgresql:
        return (_INFINITIES.get(microseconds) or str(_moment(microseconds)),)
    moment = _moment(microseconds)
    texts = [
        moment.isoformat(separator, precision)
        for separator in (" ", "T")
        for precision in ("microseconds", "auto")
    ]
    if not moment.time():
        texts.append(moment.date().isoformat())
    return tuple(dict.fromkeys(texts))


def _uuid_forms(value: UUID, declared: Declared, postgresql: bool) -> tuple[object, ...]:
    if postgresql and declared.kind is Kind.UUID:
        return (str(value),)
    if declared.kind is Kind.BYTES:
        return (value.bytes,)
    texts = (value.hex, str(value)) if declared.width == 32 else (str(value), value.hex)
    return (*texts, *(text.upper() for text in texts if text.upper() != text))
