"""Tables without a key: each side's rows as a bag, in which equal rows are counted by their digest.

The counts are kept in a file of their own, so that memory stays flat however many rows there are.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

from dual_write.canonical import Value, encode
from dual_write.check_result import Difference, Finding, FindingKind, TableResult, difference
from dual_write.check_suspects import Settle
from dual_write.digest_columns import ComparedColumn, Row
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Query
from dual_write.digest_reader import Rows, SideReader
from dual_write.errors import CheckFailed

_BLOCKS = 200
_ROWS = 5_000
_DESCRIBED = 5_000
"""Of so many differing rows at most one example each is kept in memory."""
_NONE = "no such row"

Digest = bytes


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one reading of both sides found: ``surplus`` is the source's count minus the target's."""

    rows: int
    surplus: Mapping[Digest, int]
    examples: Mapping[Digest, Row]


def compare_bags(
    pair: TablePair,
    direct: TablePair,
    settle: Settle | None,
    read: Callable[[int], None],
    *,
    reveal: bool,
) -> TableResult:
    """Read both sides whole; and if they differ, once more after what was on its way has arrived, from the
    databases themselves (``direct``).

    A row counts as a finding when it was as many times too often on one side both times. ``read`` is told
    of the source's rows as they are read. Raises CheckFailed when replication does not catch up.
    """
    first = _pass(pair, frozenset(), read)
    if not first.surplus:
        return TableResult(pair.flow.source, pair.flow.target, first.rows, (), ())
    if settle and not settle():
        raise CheckFailed(
            f"replication into {pair.flow.target!r} did not catch up in time, so {len(first.surplus)} rows "
            "that differed could not be judged; check again when the lag is low"
        )
    again = _pass(direct, frozenset(list(first.surplus)[:_DESCRIBED]), read)
    findings = [
        _finding(pair, digest, surplus, again.examples.get(digest), reveal)
        for digest, surplus in again.surplus.items()
        if first.surplus.get(digest) == surplus
    ]
    moving = [digest for digest, surplus in again.surplus.items() if first.surplus.get(digest) != surplus]
    return TableResult(
        pair.flow.source,
        pair.flow.target,
        again.rows,
        tuple(findings),
        tuple((digest.hex(),) for digest in moving),
    )


def _pass(pair: TablePair, wanted: frozenset[Digest], read: Callable[[int], None]) -> _Pass:
    examples: dict[Digest, Row] = {}
    total = 0
    with _counts() as counts:
        columns = pair.columns.columns
        for side, query, sign, normal in (
            (pair.source, pair.source_query, 1, [column.source_value for column in columns]),
            (pair.target, pair.target_query, -1, [column.target_value for column in columns]),
        ):
            for rows in scan(side, query):
                digests = [_digest(normal, row) for row in rows]
                counts.executemany(
                    "INSERT INTO bag VALUES (?, ?) "
                    "ON CONFLICT (digest) DO UPDATE SET surplus = surplus + excluded.surplus",
                    ((digest, sign) for digest in digests),
                )
                if wanted:
                    examples |= {
                        digest: row for digest, row in zip(digests, rows, strict=True) if digest in wanted
                    }
                if sign > 0:
                    total += len(rows)
                    read(total)
        surplus = dict(counts.execute("SELECT digest, surplus FROM bag WHERE surplus <> 0"))
    return _Pass(total, surplus, examples)


@contextmanager
def _counts() -> Iterator[sqlite3.Connection]:
    with (
        TemporaryDirectory(prefix="strangler-check-") as directory,
        closing(sqlite3.connect(Path(directory) / "bag.db", isolation_level=None)) as connection,
    ):
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -32000"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute(
            "CREATE TABLE bag (digest BLOB PRIMARY KEY, surplus INTEGER NOT NULL) WITHOUT ROWID"
        )
        connection.execute("BEGIN")
        yield connection


def scan(side: SideReader, query: Query) -> Iterator[Rows]:
    """Every row, in the order in which it lies in the file: no index has to be there, and no statement is
    long. A row that is moved meanwhile may be met twice or not at all.
    """
    if side.postgresql:
        [(blocks,)] = side.read((query.blocks(), ()))
        for start in range(0, max(int(blocks), 1), _BLOCKS):
            last = start + _BLOCKS >= int(blocks)
            yield side.ask(query.lying(start, None if last else start + _BLOCKS)).result()
        return
    after: int | None = None
    while rows := side.ask(query.following(after, _ROWS)).result():
        after = rows[-1][-1]
        yield [row[:-1] for row in rows]


def _digest(normal: Sequence[Callable[[object], Value]], row: Row) -> Digest:
    hashed = blake2b(digest_size=16)
    for logical, stored in zip(normal, row, strict=True):
        value = encode(logical(stored))
        hashed.update(len(value).to_bytes(8, "big"))
        hashed.update(value)
    return hashed.digest()


def _finding(pair: TablePair, digest: Digest, surplus: int, row: Row | None, reveal: bool) -> Finding:
    """The row is told by its digest; where an example was kept, by what its columns are like, too."""
    kind = FindingKind.MISSING if surplus > 0 else FindingKind.EXTRA
    times = f" {abs(surplus)} times" if abs(surplus) > 1 else ""
    described = () if row is None else zip(pair.columns.columns, row, strict=True)
    return Finding(
        pair.flow.target,
        kind,
        (digest.hex() + times,),
        tuple(_described(column, value, kind, reveal) for column, value in described),
    )


def _described(column: ComparedColumn, value: object, kind: FindingKind, reveal: bool) -> Difference:
    told = difference(column, value, value, reveal=reveal)
    if kind is FindingKind.MISSING:
        return Difference(column.name, told.source, _NONE)
    return Difference(column.name, _NONE, told.target)
