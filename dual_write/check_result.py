"""What a check found, and how much it vouches for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice

from dual_write.canonical import Json, Kind, Value
from dual_write.changes import Mark
from dual_write.digest_columns import ComparedColumn
from dual_write.digest_keys import Key
from dual_write.spool import Joined

_SHOWN = 80


class FindingKind(StrEnum):
    """How the target differs from the source that it should follow."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Difference:
    """One column's two values: what they are like, or in clear when that was asked for."""

    column: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A confirmed difference under one key. ``table`` is the target's."""

    table: str
    kind: FindingKind
    key: Key
    differences: tuple[Difference, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(difference.column for difference in self.differences)

    def to_json(self) -> dict[str, object]:
        return {
            "table": self.table,
            "kind": self.kind.value,
            "key": shown_key(self.key),
            "differences": [
                {"column": one.column, "source": one.source, "target": one.target} for one in self.differences
            ],
        }


@dataclass(frozen=True, slots=True)
class TableResult:
    """One pair of tables. ``rows`` were compared, counted at the source.

    ``undecided`` are keys that differed at every look but never held still: no finding, and not clean either.
    ``tolerated``: by column, how many values differ by no more than the plan says; a row that changed during
    the check may count again.
    """

    source: str
    target: str
    rows: int
    findings: Sequence[Finding]
    undecided: tuple[Key, ...]
    tolerated: Mapping[str, int] = field(default_factory=dict)

    def to_json(self, most: int | None = None) -> dict[str, object]:
        """With at most so many of the findings."""
        return {
            "source": self.source,
            "target": self.target,
            "rows": self.rows,
            "findings": [finding.to_json() for finding in islice(self.findings, most)],
            "undecided": [shown_key(key) for key in self.undecided],
            "tolerated": dict(self.tolerated),
        }


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that was carried through. ``covers`` says in words what the verdict vouches for.

    ``complete`` is false when the check stopped at its limit of findings. ``seconds`` is its duration.
    ``mark``: everything captured until then was compared.
    """

    tables: tuple[TableResult, ...]
    started: datetime
    seconds: float
    covers: str
    complete: bool
    mark: Mark | None = None

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    @property
    def findings(self) -> Sequence[Finding]:
        return Joined(table.findings for table in self.tables)

    @property
    def undecided(self) -> int:
        return sum(len(table.undecided) for table in self.tables)

    @property
    def clean(self) -> bool:
        return self.complete and not self.findings and not self.undecided

    def to_json(self, most: int | None = None) -> dict[str, object]:
        """Plain values, ready for ``json.dumps``; with at most so many findings of each table."""
        return {
            "clean": self.clean,
            "complete": self.complete,
            "rows": self.rows,
            "findings": len(self.findings),
            "undecided": self.undecided,
            "covers": self.covers,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 3),
            "tables": [table.to_json(most) for table in self.tables],
        }


def difference(column: ComparedColumn, source: object, target: object, *, reveal: bool) -> Difference:
    """Describes two values of a column; only with ``reveal`` in clear, cut to what fits a line."""
    ours, theirs = column.source_value(source), column.target_value(target)
    if reveal:
        return Difference(column.name, _cut(_clear(ours)), _cut(_clear(theirs)))
    return Difference(column.name, _like(ours, column.kind), _like(theirs, column.kind))


def shown_key(key: Key) -> list[object]:
    return [value if value is None or isinstance(value, (int, str)) else _clear(value) for value in key]


def _clear(value: Value) -> str:
    match value:
        case None:
            return "NULL"
        case Json(text):
            return text
        case bytes():
            return value.hex()
        case str():
            return repr(value)
        case _:
            return str(value)


def _like(value: Value, kind: Kind) -> str:
    match value:
        case None:
            return "NULL"
        case str():
            return f"text of {len(value)} characters"
        case bytes():
            return f"{len(value)} bytes"
        case Json(text):
            return f"JSON of {len(text)} characters"
        case _:
            return kind.value


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
