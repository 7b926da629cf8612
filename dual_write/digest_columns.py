"""A pair of tables made comparable: for every column the kind, and each side's expressions for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from dual_write.canonical import Kind, Value, encode, normal
from dual_write.digest_keys import Key
from dual_write.digest_types import COMPUTED, Declared
from dual_write.tolerance import Tolerance

_SENT = {
    "timestamp without time zone": "timestamp_send",
    "timestamp with time zone": "timestamptz_send",
    "date": "date_send",
    "time without time zone": "time_send",
    "uuid": "uuid_send",
}
_BYTEWISE = ' COLLATE "C"'
FLOAT_DIGITS = 15
"""A decimal of no more digits is the only one so short that its float stands for."""
_BARE_UUID = 32
_MOMENT = len("0001-01-01 00:00:00.000000")
_WIDTHS = {"timestamp": _MOMENT, "timestamptz": _MOMENT, "time": len("00:00:00.000000")}
Row = Sequence[object]


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A target column, what fills it, and the kind both are compared as."""

    name: str
    kind: Kind
    source: Declared
    target: Declared
    across: bool  # between PostgreSQL and SQLite
    tolerance: Tolerance | None = None

    @property
    def hashable(self) -> bool:
        """Whether PostgreSQL alone brings both sides to one form."""
        if self.kind is Kind.NUMERIC:
            return Kind.FLOAT not in self._kinds and Kind.SINGLE not in self._kinds
        if self.kind in {Kind.TIMESTAMP, Kind.DATE, Kind.TIME, Kind.UUID}:
            return self._kinds <= {Kind.TIMESTAMP, Kind.DATE, Kind.TIME, Kind.UUID}
        return True

    @property
    def delicate(self) -> bool:
        """Whether values that Python calls equal may differ all the same: 0.0 and -0.0, 1 and 1.0."""
        return self.kind in {Kind.DYNAMIC, Kind.BYTES, Kind.FLOAT, Kind.SINGLE} and not self.across

    @property
    def _kinds(self) -> set[Kind | None]:
        return {self.source.kind, self.target.kind}

    def opposite(self, declared: Declared) -> Declared:
        """The other side's type."""
        return self.target if declared is self.source else self.source

    def source_value(self, value: object) -> Value:
        return normal(self.kind, value, self._scale(self.source))

    def target_value(self, value: object) -> Value:
        return normal(self.kind, value, self._scale(self.target))

    def _scale(self, declared: Declared) -> int | None:
        # Where both sides store floats they are compared as they are.
        return declared.scale if self.across else None

    def same(self, source: object, target: object) -> bool:
        """Whether the two sides' values, as their drivers deliver them, mean the same."""
        if source is target or (source == target and type(source) is type(target) and not self.delicate):
            return True
        ours, theirs = self.source_value(source), self.target_value(target)
        # Python compares all but floats exactly, and faster than their encoded forms.
        if type(ours) is type(theirs) and not isinstance(ours, float) and ours == theirs:
            return True
        return encode(ours) == encode(theirs)

    def tolerates(self, source: object, target: object) -> bool:
        """Whether two values that differ lie near enough for the plan."""
        return self.tolerance is not None and self.tolerance.covers(
            self.source_value(source), self.target_value(target)
        )


@dataclass(frozen=True, slots=True)
class ComparedColumns:
    """All columns of a pair; ``key`` are the positions of those that identify a row."""

    columns: tuple[ComparedColumn, ...]
    key: tuple[int, ...]

    @property
    def delicate(self) -> tuple[int, ...]:
        return tuple(at for at, column in enumerate(self.columns) if column.delicate)

    def unlike(self, source: Sequence[Row], target: Sequence[Row]) -> list[Key] | None:
        """The keys of the rows that differ, given the same keys in the same order; None for other keys."""
        if self.delicate or [*map(self._stored_key, source)] != [*map(self._stored_key, target)]:
            return None
        return [
            self.key_of(ours)
            for ours, theirs in zip(source, target, strict=True)
            if ours != theirs and self.differing(ours, theirs)
        ]

    @property
    def _stored_key(self) -> Callable[[Row], object]:
        return itemgetter(*self.key)

    def alike(self, source: Sequence[Row], target: Sequence[Row]) -> bool:
        """Whether all rows are equal as they were delivered; False says nothing yet."""
        return source == target and all(_exactly(at, source, target) for at in self.delicate)

    def key_of(self, row: Row) -> Key:
        return tuple(normal(self.columns[at].kind, row[at]) for at in self.key)

    def key_from(self, values: Row) -> Key:
        """From the key's values alone."""
        return tuple(normal(self.columns[at].kind, value) for at, value in zip(self.key, values, strict=True))

    def differing(self, source: Row, target: Row) -> tuple[int, ...]:
        """The positions of the columns that differ."""
        pairs = zip(self.columns, source, target, strict=True)
        return tuple(at for at, (column, ours, theirs) in enumerate(pairs) if not column.same(ours, theirs))

    def intolerable(self, source: Row, target: Row) -> tuple[int, ...]:
        """The positions of those that differ by more than the plan tolerates."""
        return tuple(
            at
            for at in self.differing(source, target)
            if not self.columns[at].tolerates(source[at], target[at])
        )


def _exactly(at: int, source: Sequence[Row], target: Sequence[Row]) -> bool:
    """Whether values that Python calls equal are: of one type, and no zero of another sign."""
    ours, theirs = [row[at] for row in source], [row[at] for row in target]
    types = {*map(type, ours), *map(type, theirs)} - {type(None)}
    if len(types) <= 1 and (float not in types or 0.0 not in ours):
        return True
    return list(map(repr, ours)) == list(map(repr, theirs))


def wire_expression(expression: str, kind: Kind, declared: Declared) -> str:
    """PostgreSQL's expression under which the driver delivers the value exactly, whatever it is."""
    match kind:
        case _ if declared.name == COMPUTED:
            sent = f"({expression})::text"
        case Kind.FLOAT | Kind.SINGLE:
            sent = f"float8send(({expression})::float8)"
        case Kind.TIMESTAMP if declared.kind is Kind.DATE:
            sent = f"timestamp_send(({expression})::timestamp)"
        case Kind.TIMESTAMP | Kind.DATE | Kind.TIME | Kind.UUID if declared.name in _SENT:
            sent = f"{_SENT[declared.name]}({expression})"
        case Kind.INTEGER | Kind.NUMERIC:
            sent = _number(expression, declared)
        case _ if kind in {Kind.BOOLEAN, Kind.BYTES} or declared.kind is Kind.BYTES:
            sent = expression
        case _:
            sent = f"({expression})::text"
    return sent


def stored_expression(expression: str, kind: Kind, declared: Declared, stored: Declared) -> str:
    """PostgreSQL's expression that is delivered as SQLite usually stores the value, in a column ``stored``.

    So that nearly all values are equal without being converted here. It is exact all the same: `normal` reads
    it as the value that it stands for.
    """
    match kind:
        case Kind.FLOAT | Kind.SINGLE:
            # SQLite cannot store -0.0; adding 0 makes it 0.0 here, too.
            told = f"({expression})::float8 + 0"
        case Kind.NUMERIC if declared.precision is not None and declared.precision <= FLOAT_DIGITS:
            told = f"({expression})::float8"
        case Kind.TIMESTAMP if declared.name in _SENT:
            told = _text_of_moment(expression, declared)
        case Kind.DATE if declared.name in _SENT:
            told = f"({expression})::text"
        case Kind.TIME if declared.name in _SENT:
            clock = f"({expression})"
            filled = _with_microseconds(clock, clock, "time")
            told = f"CASE WHEN {clock} < '24:00' THEN {filled} ELSE {clock}::text END"
        case Kind.UUID if declared.kind is Kind.UUID and stored.kind is Kind.BYTES:
            told = f"uuid_send({expression})"
        case Kind.UUID if declared.kind is Kind.UUID and stored.width == _BARE_UUID:
            told = f"replace(({expression})::text, '-', '')"
        case Kind.UUID if declared.kind is Kind.UUID:
            told = f"({expression})::text"
        case _:
            told = wire_expression(expression, kind, declared)
    return told


def _without_zone(expression: str, declared: Declared) -> str:
    if declared.name == "timestamp with time zone":
        return f"(({expression}) AT TIME ZONE 'UTC')"
    return f"({expression})::timestamp" if declared.kind is Kind.DATE else f"({expression})"


def _text_of_moment(expression: str, declared: Declared) -> str:
    moment = _without_zone(expression, declared)
    # What is compared keeps its zone: to leave that takes as long as all comparisons.
    zoned = declared.name == "timestamp with time zone"
    kind, stored = ("timestamptz", f"({expression})") if zoned else ("timestamp", moment)
    # Infinities and years of other than four digits have a text of their own, which is not filled up.
    return (
        f"CASE WHEN {stored} >= {kind} '0001-01-01' AND {stored} < {kind} '10000-01-01' "
        f"THEN {_with_microseconds(moment, stored, kind)} ELSE {moment}::text END"
    )


def _with_microseconds(value: str, stored: str, kind: str) -> str:
    """PostgreSQL's text of a moment or time, with six digits of the second; to_char takes twice as long."""
    return (
        f"CASE WHEN {stored} = {stored}::{kind}(0) THEN {value}::text || '.000000' "
        f"ELSE rpad({value}::text, {_WIDTHS[kind]}, '0') END"
    )


HASHED_AS_TEXT = frozenset({Kind.JSON, Kind.PADDED, Kind.TEXT, Kind.OPAQUE})
"""The kinds that are text when they are hashed; all others are ``bytea``."""


def hash_expression(expression: str, kind: Kind, declared: Declared, opposite: Declared) -> str:
    """PostgreSQL's expression whose hash covers every bit of the value.

    The hash functions of the types themselves do not: that of numeric skips the sign, that of bigint
    folds its halves together, that of float takes 0.0 and -0.0 for one.
    """
    match kind:
        case Kind.INTEGER:
            hashed = f"int8send({_number(expression, declared)}::int8)"
        case Kind.NUMERIC if declared.fixed is not None and declared.fixed == opposite.fixed:
            hashed = f"numeric_send({expression})"
        case Kind.NUMERIC:
            hashed = f"numeric_send(trim_scale({_number(expression, declared)}::numeric))"
        case Kind.SINGLE:
            hashed = f"float4send(({expression})::float4)"
        case Kind.JSON:
            hashed = f"({expression})::jsonb::text{_BYTEWISE}"
        case Kind.PADDED:
            hashed = f"rtrim(({expression})::text, ' '){_BYTEWISE}"
        case Kind.TEXT | Kind.OPAQUE:
            hashed = f"({expression})::text{_BYTEWISE}"
        case Kind.BOOLEAN:
            hashed = f"boolsend({expression})"
        case _:
            hashed = wire_expression(expression, kind, declared)
    return hashed


def _number(expression: str, declared: Declared) -> str:
    return f"({expression})::int" if declared.kind is Kind.BOOLEAN else f"({expression})"
