"""Which keys are suspects: two tables compared range by range, in flat memory.

`PushedDown` lets two PostgreSQL servers digest their own rows and fetches only what narrows a difference
down. `Streamed` reads both sides in key order and compares them here; it serves every pair of engines.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from secrets import randbits

from dual_write.digest_columns import ComparedColumns, Row
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair
from dual_write.digest_query import BUCKETS, Query, Range, Statement
from dual_write.digest_reader import Rows, SideReader
from dual_write.errors import SchemaError

PUSHED_DOWN_ROWS = 100_000
STREAMED_ROWS = 5_000

# Up to this many rows are listed at once rather than split further.
_LISTED_ROWS = 2_000
# A range with this many times the rows it should have is split by the side that has them.
_OVERFULL = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range that was compared: the source's rows in it, and the keys under which the sides differed."""

    rows: int
    suspects: tuple[Key, ...]


class PushedDown:
    """Each range takes one short statement a side; a range that differs, two or three more."""

    def __init__(self, pair: TablePair, rows: int = PUSHED_DOWN_ROWS) -> None:
        self._pair = pair
        self._rows = rows
        # A new seed for every check: should two different ranges ever collide, they will not do so again.
        self._seed = randbits(62)

    def chunks(self) -> Iterator[Chunk]:
        yield from self._compare(self._ranges(self._pair.source, Range()))

    def _compare(self, ranges: Iterator[Range]) -> Iterator[Chunk]:
        """Both sides are kept busy by asking about one range ahead."""
        asked: deque[tuple[Range, Digests]] = deque()
        for within in ranges:
            asked.append((within, Digests(self._pair, within, self._seed)))
            if len(asked) > 1:
                yield from self._judge(*asked.popleft())
        while asked:
            yield from self._judge(*asked.popleft())

    def _judge(self, within: Range, digests: "Digests") -> Iterator[Chunk]:
        source, target = digests.results()
        if source == target:
            yield Chunk(source[0], ())
        elif target[0] > _OVERFULL * self._rows:
            yield from self._compare(self._ranges(self._pair.target, within))
        else:
            yield Chunk(source[0], self._located(within, max(source[0], target[0])))

    def _located(self, within: Range, rows: int) -> tuple[Key, ...]:
        buckets: Sequence[int] = range(BUCKETS)
        if rows > _LISTED_ROWS:
            ours, theirs = self._pair.read(lambda query: query.buckets(within, self._seed))
            buckets = sorted({bucket for bucket, *_ in set(ours) ^ set(theirs)})
        if not buckets:
            return ()
        ours, theirs = self._pair.read(lambda query: query.row_hashes(within, self._seed, buckets))
        differing = set(ours) ^ set(theirs)
        listed = (row[:-1] for row in (*ours, *theirs) if row in differing)
        return tuple(dict.fromkeys(map(self._pair.columns.key_from, listed)))

    def _ranges(self, side: SideReader, within: Range) -> Iterator[Range]:
        query = self._pair.source_query if side is self._pair.source else self._pair.target_query
        after = within.after
        following = side.ask(query.boundary(within, self._rows))
        while found := following.result():
            boundary = self._pair.columns.key_from(found[0])
            # Asked before the range's own digest, so that the next range is known when this one is done.
            following = side.ask(query.boundary(Range(boundary, within.to), self._rows))
            yield Range(after, boundary)
            after = boundary
        yield Range(after, within.to)


class Digests:
    """The digests of one range, under way on both sides."""

    def __init__(self, pair: TablePair, within: Range, seed: int) -> None:
        self._source, self._target = pair.ask(lambda query: query.digest(within, seed))

    def results(self) -> tuple[tuple[int, int | None], tuple[int, int | None]]:
        (source,), (target,) = self._source.result(), self._target.result()
        return (source[0], source[1]), (target[0], target[1])


class Streamed:
    """Both sides are read in key order; a chunk ends where the side that is further behind ends."""

    def __init__(self, pair: TablePair, rows: int = STREAMED_ROWS) -> None:
        self._pair = pair
        self._rows = rows

    def chunks(self) -> Iterator[Chunk]:
        columns = self._pair.columns
        after: Key | None = None
        while True:
            within = Range(after)
            source, target = self._pair.read(partial(_rows, within, self._rows))
            more = [rows for rows in (source, target) if len(rows) == self._rows]
            if source == target and not columns.delicate:
                yield Chunk(len(source), ())
                if not more:
                    return
                after = columns.key_of(source[-1])
                continue
            ours, theirs = self._keyed(source, after), self._keyed(target, after)
            ends = [columns.key_of(rows[-1]) for rows in more]
            if ends:
                after = min(ends)
                ours, theirs = _until(ours, after), _until(theirs, after)
            yield Chunk(len(ours), suspects(columns, ours, theirs))
            if not ends:
                return

    def _keyed(self, rows: Rows, after: Key | None) -> dict[Key, Row]:
        keyed: dict[Key, Row] = {self._pair.columns.key_of(row): row for row in rows}
        try:
            ascending = after is None or not keyed or after < next(iter(keyed))
            ascending = ascending and all(one < other for one, other in pairwise(keyed))
        except TypeError:
            ascending = False
        if ascending and len(keyed) == len(rows):
            return keyed
        raise SchemaError(
            f"the keys of table {self._pair.flow.source!r} or {self._pair.flow.target!r} are not stored "
            "in one form, so that the two sides do not sort them alike; bring them into one (uuid, date and "
            "time as text above all), or choose another key for the table"
        )


def suspects(
    columns: ComparedColumns, source: Mapping[Key, Row], target: Mapping[Key, Row]
) -> tuple[Key, ...]:
    """The keys that only one side has, or under which the two rows differ."""
    return tuple(
        key
        for key in {**source, **target}
        if key not in source or key not in target or columns.differing(source[key], target[key])
    )


def _rows(within: Range, limit: int, query: Query) -> Statement:
    return query.rows(within, limit)


def _until(rows: Mapping[Key, Row], end: Key) -> dict[Key, Row]:
    return {key: row for key, row in rows.items() if key <= end}
