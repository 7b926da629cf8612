"""Which keys are suspects: two tables compared range by range, in flat memory.

`PushedDown` lets two PostgreSQL servers digest their own rows and fetches only what narrows a difference
down. `Streamed` reads both sides in key order and compares them here; it serves every pair of engines.
"""

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice, pairwise
from math import isqrt
from secrets import randbits
from typing import TypeVar

from dual_write.check_sample import Sample
from dual_write.digest_columns import ComparedColumns, Row
from dual_write.digest_keys import Key
from dual_write.digest_pair import TablePair
from dual_write.digest_query import Query, Range, Statement
from dual_write.digest_reader import Rows
from dual_write.errors import SchemaError

_T = TypeVar("_T")

Stride = Callable[[], int]
"""How many rows the next range shall have."""

PUSHED_DOWN_ROWS = 100_000
STREAMED_ROWS = 5_000

# Up to this many rows are listed at once rather than split further.
_LISTED_ROWS = 2_000
# So many are held in memory at once when nearly all rows differ.
_LISTED_AT_ONCE = 10_000
# A range that differs is split by a hash of the key: first into about as many parts as each then has rows,
# which few bytes tell, and if most of those differ, into parts of about so many rows.
_ROWS_OF_A_PART = 8
# From so many parts on that differ, differences are taken to be scattered over the whole table,
_SCATTERED = 32
# and a range has no more than so many rows. It grows while nothing differs.
_SCATTERED_ROWS = 8_192
# A range with this many times the rows it should have is split by the side that has them.
_OVERFULL = 4


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range that was compared: the source's rows in it, and the keys under which the sides differed.

    ``end``, if there is one: with this chunk everything up to this key has been compared.
    """

    rows: int
    suspects: tuple[Key, ...]
    end: Key | None = None


class PushedDown:
    """Each range takes one short statement a side; a range that differs, one or two more."""

    def __init__(self, pair: TablePair, rows: Stride, sample: Sample | None = None) -> None:
        self._pair = pair
        self._stride = rows
        self._sample = sample
        self._turns = self._in_turns()
        self._span = _SCATTERED_ROWS
        # A new seed for every check: should two different ranges ever collide, they will not do so again.
        self._seed = randbits(62)
        self._parts = 1  # into how many the next range is split from the start

    def chunks(self, after: Key | None = None) -> Iterator[Chunk]:
        """Everything after a key."""
        all_of = ranges(self._pair, self._pair.source_query, Range(after), self._rows)
        with closing(self._in_turns()) as self._turns:
            yield from self._compare(self._sample.of(all_of) if self._sample else all_of)

    def _in_turns(self) -> Generator[TablePair, None, None]:
        """The pair by each of its connections in turn. One range alone has no use for a second one."""
        pair = self._pair
        yield pair
        with pair.source.doubled() as ours, pair.target.doubled() as theirs:
            both = zip(ours, theirs, strict=False)  # as many as either has
            pairs = cycle(replace(pair, source=one, target=other) for one, other in both)
            next(pairs)
            yield from pairs

    def _rows(self) -> int:
        return min(self._stride(), self._span)

    def _compare(self, within: Iterator[Range]) -> Iterator[Chunk]:
        asked = (Digests(next(self._turns), each, self._seed, self._parts) for each in within)
        for digests in ahead(asked, 2):
            yield from self._judge(digests)
            if digests.within.to is not None:
                yield Chunk(0, (), digests.within.to)

    def _judge(self, digests: "Digests") -> Iterator[Chunk]:
        source, target = digests.rows
        if max(source, target) > _OVERFULL * digests.within.rows:
            query = self._pair.source_query if source > target else self._pair.target_query
            yield from self._compare(ranges(self._pair, query, digests.within, self._rows))
        elif differing := digests.differing():
            yield from self._located(digests, differing)
        else:
            self._parts = 1
            self._span = min(2 * self._span, PUSHED_DOWN_ROWS)
            yield Chunk(source, ())

    def _located(self, digests: "Digests", differing: Collection[int]) -> Iterator[Chunk]:
        yield Chunk(digests.rows[0], ())
        rows = max(digests.rows)
        for finer in (1 << isqrt(rows).bit_length(), 1 << (rows // _ROWS_OF_A_PART).bit_length()):
            if digests.parts < finer and digests.rows_in(differing) > _LISTED_ROWS:
                digests = Digests(self._pair, digests.within, self._seed, finer)
                differing = digests.differing()
        # Where differences are scattered the next range will hardly be without: it starts with as many parts.
        if len(differing) > _SCATTERED:
            self._parts, self._span = digests.parts, _SCATTERED_ROWS
        else:
            self._parts = 1
        parts = iter(sorted(differing))
        rows_of_a_part = max(1, digests.rows_in(differing) // max(1, len(differing)))
        while some := list(islice(parts, max(1, _LISTED_AT_ONCE // rows_of_a_part))):
            yield Chunk(0, self._listed(digests, some))

    def _listed(self, digests: "Digests", parts: Sequence[int]) -> tuple[Key, ...]:
        """The keys under which rows of these parts differ."""
        listed = partial(_row_hashes, digests.within, self._seed, digests.parts, parts)
        ours, theirs = self._pair.read(listed)
        unequal = {*ours} ^ {*theirs}
        keys = (row[:-1] for row in (*ours, *theirs) if row in unequal)
        return tuple(dict.fromkeys(map(self._pair.columns.key_from, keys)))


class Digests:
    """The digests of one range, in a number of parts, under way on both sides."""

    def __init__(self, pair: TablePair, within: Range, seed: int, parts: int) -> None:
        self.within = within
        self.parts = parts
        most = None if pair.source.pace.full else _OVERFULL * within.rows + 1
        self._asked = pair.ask(lambda query: query.digests(within, seed, parts, most))

    def differing(self) -> Collection[int]:
        """The parts that are not alike."""
        source, target = self._sides
        return {part for part, *_ in {*source} ^ {*target}}

    @property
    def rows(self) -> tuple[int, int]:
        """How many rows each side has."""
        source, target = self._sides
        return sum(count for _, count, _ in source), sum(count for _, count, _ in target)

    def rows_in(self, parts: Collection[int]) -> int:
        """How many rows the side with more of them has in these parts."""
        source, target = (sum(count for part, count, _ in side if part in parts) for side in self._sides)
        return int(max(source, target))

    @property
    def _sides(self) -> tuple[Rows, Rows]:
        source, target = self._asked
        return source.result(), target.result()


class Streamed:
    """Both sides are read in key order, in ranges of the source's rows; a chunk ends where the side that is
    further behind ends.
    """

    def __init__(self, pair: TablePair, rows: Stride, sample: Sample | None = None) -> None:
        self._pair = pair
        self._rows = rows
        self._sample = sample

    def chunks(self, after: Key | None = None) -> Iterator[Chunk]:
        """Everything after a key."""
        if self._sample:
            chosen = self._sample.of(ranges(self._pair, self._pair.source_query, Range(after), self._rows))
            return (chunk for within in chosen for chunk in self.within(within))
        return self.within(Range(after))

    def within(self, all_of: Range) -> Iterator[Chunk]:
        """A range, both sides being read ahead while the part before is compared."""
        pair = self._pair
        asked = (
            (within, pair.ask(partial(_rows, within, within.rows + 1)))
            for within in ranges(pair, pair.source_query, all_of, self._rows)
        )
        for within, (source, target) in ahead(asked):
            yield from self._compared(within, source.result(), target.result())

    def _compared(self, within: Range, source: Rows, target: Rows) -> Iterator[Chunk]:
        """The range of which these are the first rows; a side that has more is read on."""
        while True:
            source = self._pair.computed(source)
            more = [rows for rows in (source, target) if len(rows) > within.rows]
            end = min(self._pair.columns.key_of(rows[-1]) for rows in more) if more else within.to
            yield self._chunk(within.after, source, target, end if more else None)
            if not more:
                if end is not None:
                    yield Chunk(0, (), end)
                return
            within = replace(within, after=end)
            source, target = self._pair.read(partial(_rows, within, within.rows + 1))

    def _chunk(self, after: Key | None, source: Rows, target: Rows, cut: Key | None) -> Chunk:
        """What these rows show, up to the key where they were cut."""
        columns = self._pair.columns
        if columns.alike(source, target):
            return Chunk(len(source), (), cut)
        if (unlike := columns.unlike(source, target)) is not None:
            return Chunk(len(source), tuple(unlike), cut)
        ours, theirs = self._keyed(source, after), self._keyed(target, after)
        if cut is not None:
            ours, theirs = _until(ours, cut), _until(theirs, cut)
        return Chunk(len(ours), suspects(columns, ours, theirs), cut)

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


def ranges(pair: TablePair, query: Query, within: Range, stride: Stride) -> Iterator[Range]:
    """``within`` in ranges of so many rows of the side that ``query`` reads."""
    side = pair.source if query is pair.source_query else pair.target
    after, rows = within.after, stride()
    following = side.ask(query.boundary(within, rows))
    while found := following.result():
        boundary, read = pair.columns.key_from(found[0]), rows
        rows = stride()
        # Asked before the range's own digest, so that the next range is known when this one is done.
        following = side.ask(query.boundary(Range(boundary, within.to), rows))
        yield Range(after, boundary, read)
        after = boundary
    yield Range(after, within.to, rows)


def ahead(items: Iterator[_T], by: int = 1) -> Iterator[_T]:
    """Each item once the next was made, so that both sides are asked for it before this one is judged; or the
    next few, ``by``.
    """
    before = deque(islice(items, by))
    for item in items:
        before.append(item)
        yield before.popleft()
    yield from before


def suspects(
    columns: ComparedColumns, source: Mapping[Key, Row], target: Mapping[Key, Row]
) -> tuple[Key, ...]:
    """The keys that only one side has, or under which the two rows differ."""
    return tuple(
        key
        for key in {**source, **target}
        if key not in source or key not in target or columns.differing(source[key], target[key])
    )


def _row_hashes(within: Range, seed: int, parts: int, chosen: Sequence[int], query: Query) -> Statement:
    return query.row_hashes(within, seed, parts, chosen)


def _rows(within: Range, limit: int, query: Query) -> Statement:
    return query.rows(within, limit)


def _until(rows: Mapping[Key, Row], end: Key) -> dict[Key, Row]:
    return {key: row for key, row in rows.items() if key <= end}
