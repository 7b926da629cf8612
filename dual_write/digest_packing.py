"""How one column of a range becomes bytes that PostgreSQL and this process make alike: pure rules.

PostgreSQL puts a column's values together and sends no more than their SHA-256. Here the same bytes are made
of what SQLite's driver delivers. Equal digests mean that the values are equal, row by row; other digests say
nothing yet, since SQLite may hold a value in another form.
"""

import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from secrets import randbits, token_hex
from struct import Struct
from typing import Any, TypeVar

from dual_write.canonical import Kind
from dual_write.digest_columns import FLOAT_DIGITS, ComparedColumn
from dual_write.digest_types import COMPUTED, Declared

T = TypeVar("T")

_TEXTS = {Kind.TEXT, Kind.PADDED, Kind.TIMESTAMP, Kind.DATE, Kind.TIME, Kind.UUID, Kind.JSON}
_INT8, _FLOAT8 = 20, 701
_LENGTH = 4
# Of an array: dimensions, whether any value is NULL, its values' type, how many there are, the first index.
_HEAD = Struct(">iiIii")


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands for NULL, as ``text`` and as a ``number``, and ``between`` two texts.

    Drawn anew for every check: that data holds them is as unlikely as that two digests collide.
    """

    text: str
    between: str
    number: int

    @classmethod
    def drawn(cls) -> "Marks":
        token = token_hex(5)
        return cls(f"{token}n", f"{token}b", randbits(62))


@dataclass(frozen=True, slots=True)
class Packing:
    """``sql`` makes PostgreSQL's bytes of an expression over a range, ``pack`` those of SQLite's values.

    ``pack`` raises TypeError, ValueError or OverflowError for a value that PostgreSQL cannot hold.
    """

    sql: Callable[[str, Marks], str]
    pack: Callable[[Sequence[object], Marks], bytes]

    def digest(self, values: Sequence[object], marks: Marks) -> bytes:
        """As PostgreSQL's ``sha256``. Raises as ``pack``."""
        return sha256(self.pack(values, marks)).digest()


def packing(column: ComparedColumn, declared: Declared) -> Packing | None:
    """For a column that PostgreSQL declares so and SQLite otherwise; None where there is no such form.

    The expressions are those of `digest_columns.stored_expression`.
    """
    kind, opposite = column.kind, column.opposite(declared)
    found: Packing | None = None
    if declared.name == COMPUTED:
        return found
    if kind is Kind.BOOLEAN:
        found = _FLAGS
    elif kind in {Kind.INTEGER, Kind.NUMERIC} and declared.kind in {Kind.INTEGER, Kind.BOOLEAN}:
        found = _WHOLE
    elif kind in {Kind.FLOAT, Kind.SINGLE}:
        found = _FLOATS
    elif kind is Kind.NUMERIC:
        # SQLite's float is that of one such decimal alone.
        short = declared.precision is not None and declared.precision <= FLOAT_DIGITS
        found = _FLOATS if short else None
    elif declared.kind is Kind.BYTES or (declared.kind is Kind.UUID and opposite.kind is Kind.BYTES):
        found = _BYTES
    elif kind in _TEXTS:
        found = _TEXTS_JOINED
    return found


def _without_null(make: Callable[[Any], T], values: Sequence[object], instead: object) -> T:
    """Most ranges have no NULL in most columns. What ``make`` does not take is refused with TypeError."""
    try:
        return make(values)
    except TypeError:
        return make([instead if value is None else value for value in values])


def _numbers_sql(cast: str, expression: str, marks: Marks) -> str:
    # What PostgreSQL sends of an array takes it a fraction of the time of any other aggregate.
    return f"array_send(array_agg(coalesce(({expression}){cast}, {marks.number})))"


def _numbers(code: str, type_: int, values: Sequence[object], marks: Marks) -> bytes:
    """As PostgreSQL sends an array of this type's number: a head, and before each value its length."""
    packed = _without_null(partial(array, code), values, marks.number)
    if sys.byteorder == "little":
        packed.byteswap()
    plain, width = packed.tobytes(), packed.itemsize
    sent = bytearray(len(values) * (_LENGTH + width))
    sent[_LENGTH - 1 :: _LENGTH + width] = bytes([width]) * len(values)
    for at in range(width):
        sent[_LENGTH + at :: _LENGTH + width] = plain[at::width]
    return _HEAD.pack(1, 0, type_, len(values), 1) + sent


def _texts_sql(form: str, expression: str, marks: Marks) -> str:
    text = form.format(expression)
    return f"convert_to(string_agg(coalesce({text}, '{marks.text}'), '{marks.between}'), 'UTF8')"


def _texts(values: Sequence[object], marks: Marks) -> bytes:
    return _without_null(marks.between.join, values, marks.text).encode()


def _bytes(values: Sequence[object], marks: Marks) -> bytes:
    # What is not of bytes is refused here.
    return _texts([None if value is None else bytes.hex(value) for value in values], marks)  # type: ignore[arg-type]


_WHOLE = Packing(partial(_numbers_sql, "::int8"), partial(_numbers, "q", _INT8))
_FLAGS = Packing(partial(_numbers_sql, "::int::int8"), partial(_numbers, "q", _INT8))
_FLOATS = Packing(partial(_numbers_sql, "::float8"), partial(_numbers, "d", _FLOAT8))
_TEXTS_JOINED = Packing(partial(_texts_sql, "{}"), _texts)
_BYTES = Packing(partial(_texts_sql, "encode({}, 'hex')"), _bytes)
