"""References between databases: what a foreign key used to keep, once its two tables live apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dual_write.check_pace import POLITE, Manners, Pace
from dual_write.check_result import shown_key
from dual_write.check_suspects import Settle
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair, table_pair
from dual_write.digest_query import Range
from dual_write.digest_reader import SideReader
from dual_write.errors import CheckFailed
from dual_write.mapping import Column, TableFlow
from dual_write.names import quote

_VALUES = 2_000
"""How many distinct values are looked up at once."""
_LOOKS = 2
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows of ``table`` name rows of ``parent`` in another database, column by column."""

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table}({', '.join(self.columns)}) → {self.parent}({', '.join(self.parent_columns)})"


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """``values`` distinct values were looked up; nothing has the key that ``orphans`` name."""

    reference: Reference
    values: int
    orphans: tuple[Key, ...]

    def to_json(self) -> dict[str, object]:
        """Plain values, ready for ``json.dumps``; the orphans are all listed."""
        return {
            "reference": str(self.reference),
            "values": self.values,
            "orphans": [shown_key(key) for key in self.orphans],
        }

    @property
    def shown(self) -> str:
        """The first orphans in one line."""
        listed = ", ".join("/".join(map(str, shown_key(key))) for key in self.orphans[:_SHOWN])
        return listed + (" …" if len(self.orphans) > _SHOWN else "")


def check_references(
    child: sa.Engine,
    parent: sa.Engine,
    references: Sequence[Reference],
    settle: Settle | None,
    manners: Manners = POLITE,
) -> list[ReferenceResult]:
    """Look up every value that ``references`` name; those with a NULL name nothing.

    A value without its row is an orphan only if it still is once replication has passed what was on its way.
    Raises as `dual_write.check.run_check`.
    """
    if not references:
        return []
    pace, seconds = Pace(manners.share), manners.statement_seconds
    with (
        SideReader(child, "referring", pace, seconds) as ours,
        SideReader(parent, "referenced", pace, seconds) as theirs,
    ):
        return [_checked(reference, ours, theirs, settle) for reference in references]


def _checked(
    reference: Reference, ours: SideReader, theirs: SideReader, settle: Settle | None
) -> ReferenceResult:
    flow = TableFlow(
        reference.table,
        reference.parent,
        reference.columns,
        reference.parent_columns,
        tuple(
            Column(there, quote(here), here)
            for here, there in zip(reference.columns, reference.parent_columns, strict=True)
        ),
    )
    pair = table_pair(flow, ours, theirs, push_down=False, nullable=True)
    values, missing = 0, list[Key]()
    for keys in _named(pair):
        values += len(keys)
        missing += [key for key, (_, row) in pair.rows(keys).items() if row is None]
    for _ in range(_LOOKS):
        if not missing:
            break
        if settle and not settle():
            raise CheckFailed(
                f"replication did not catch up in time, so {len(missing)} references of {reference} could "
                "not be judged; look at the lag with `strangler status`, and check again when it is low"
            )
        looked = pair.rows(missing)
        missing = [key for key, (row, named) in looked.items() if row is not None and named is None]
    return ReferenceResult(reference, values, tuple(missing))


def _named(pair: TablePair) -> Iterator[list[Key]]:
    """The distinct values that the referring rows hold, in order."""
    after: Key | None = None
    while True:
        rows = pair.source.ask(pair.source_query.distinct(Range(after), _VALUES)).result()
        keys = list(dict.fromkeys(map(pair.columns.key_of, rows)))
        if keys:
            yield keys
        if len(rows) < _VALUES:
            return
        after = keys[-1]
