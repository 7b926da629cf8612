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
from itertools import pairwise
from secrets import token_hex
from typing import Any

from dual_write.canonical import Kind
from dual_write.digest_columns import FLOAT_DIGITS, ComparedColumn
from dual_write.digest_types import COMPUTED, Declared

_TEXTS = {Kind.TEXT, Kind.PADDED, Kind.TIMESTAMP, Kind.DATE, Kind.TIME, Kind.UUID, Kind.JSON}


@dataclass(frozen=True, slots=True)
class Marks:
    """Texts that stand for ``null``, and ``between`` two others.

    Drawn anew for every check: that data holds them is as unlikely as that two digests collide.
    """

    null: str
    between: str

    @classmethod
    def drawn(cls) -> "Marks":
        token = token_hex(5)
        return cls(f"{token}n", f"{token}b")


@dataclass(frozen=True, slots=True)
class Packing:
    """``sql`` makes PostgreSQL's bytes of an expression over a range, ``pack`` those of some of SQLite's
    values; ``apart`` says whether the mark is between the bytes of some and of the next.

    ``pack`` raises TypeError, ValueError or OverflowError for a value that PostgreSQL cannot hold.
    """

    sql: Callable[[str, Marks], str]
    pack: Callable[[Sequence[object], Marks], "bytes | array[Any]"]
    apart: bool


class Digests:
    """Digests the columns of rows that come in batches, as PostgreSQL does those of all."""

    def __init__(self, packings: Sequence[Packing], marks: Marks) -> None:
        self._columns = [(packing, sha256()) for packing in packings]
        self._marks = marks
        self._between = marks.between.encode()
        self._rows = 0
        self._unlike = False

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        try:
            for (packing, digest), values in zip(self._columns, zip(*rows, strict=True), strict=True):
                if packing.apart and self._rows:
                    digest.update(self._between)
                digest.update(packing.pack(values, self._marks))
        except (TypeError, ValueError, OverflowError):
            self._unlike = True
        self._rows += len(rows)

    def result(self) -> tuple[int | bytes | None, ...]:
        """The number of rows, and each column's SHA-256: None of no rows, and as no server answers where it
        cannot hold one of the values.
        """
        if self._unlike:
            return (self._rows,)
        return (self._rows, *(digest.digest() if self._rows else None for _, digest in self._columns))


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


def _numbers_sql(form: str, expression: str, marks: Marks) -> str:
    sent = form.format(expression)
    return f"string_agg(coalesce({sent}, decode('{marks.null.encode().hex()}', 'hex')), ''::bytea)"


def _numbers(
    make: "Callable[[Sequence[Any]], bytes | array[Any]]", values: Sequence[Any], marks: Marks
) -> "bytes | array[Any]":
    """As PostgreSQL sends them. ``make`` raises TypeError for NULL."""
    try:
        return make(values)
    except TypeError:
        holes = [at for at, value in enumerate(values) if value is None]
        if not holes:
            raise
    present = pairwise([-1, *holes, len(values)])
    return marks.null.encode().join(bytes(make(values[hole + 1 : following])) for hole, following in present)


def _sent(code: str, values: Sequence[Any]) -> "array[Any]":
    numbers = array(code, values)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _texts_sql(form: str, expression: str, marks: Marks) -> str:
    text = form.format(expression)
    return f"convert_to(string_agg(coalesce({text}, '{marks.null}'), '{marks.between}'), 'UTF8')"


def _texts(values: Sequence[Any], marks: Marks) -> bytes:
    try:  # most batches have no NULL in most columns
        return marks.between.join(values).encode()
    except TypeError:
        return marks.between.join([marks.null if value is None else value for value in values]).encode()


def _bytes(values: Sequence[Any], marks: Marks) -> bytes:
    return _texts([None if value is None else bytes.hex(value) for value in values], marks)


_WHOLE = Packing(
    partial(_numbers_sql, "int8send(({})::int8)"), partial(_numbers, partial(_sent, "q")), apart=False
)
_FLOATS = Packing(
    partial(_numbers_sql, "float8send(({})::float8)"), partial(_numbers, partial(_sent, "d")), apart=False
)
_FLAGS = Packing(partial(_numbers_sql, "boolsend({})"), partial(_numbers, bytes), apart=False)
_TEXTS_JOINED = Packing(partial(_texts_sql, "{}"), _texts, apart=True)
_BYTES = Packing(partial(_texts_sql, "encode({}, 'hex')"), _bytes, apart=True)
