"""The SQL that reads one side of a pair of tables, a key range at a time: pure text."""

from collections.abc import Sequence
from dataclasses import dataclass

from dual_write.digest_keys import Key, KeyColumn, alternatives, bound

Statement = tuple[str, tuple[object, ...]]
"""SQL and its parameters."""

BUCKETS = 256
"""Into how many parts a range that differs is split, by the hash of the key."""


@dataclass(frozen=True, slots=True)
class Range:
    """The keys greater than ``after`` up to and including ``to``; None is open."""

    after: Key | None = None
    to: Key | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One side's table. ``table`` and the expressions are SQL; ``key`` are positions in ``columns``.

    ``hashes`` are the columns' expressions for the pushed-down digest, empty where it is not to be had.
    ``integer_key``: the key is one whole number on both sides. ``mark`` is the driver's placeholder.
    """

    table: str
    keys: tuple[KeyColumn, ...]
    columns: tuple[str, ...]
    key: tuple[int, ...]
    hashes: tuple[str, ...]
    integer_key: bool
    mark: str

    def rows(self, within: Range, limit: int) -> Statement:
        """All columns of up to ``limit`` rows in key order."""
        where, values = self._where(within)
        return (
            f"SELECT {', '.join(self.columns)} FROM {self.table}{where} ORDER BY {self._order} LIMIT {limit}",
            values,
        )

    def boundary(self, within: Range, rows: int) -> Statement:
        """The key of the ``rows``-th row, if there are that many."""
        where, values = self._where(within)
        return (
            f"SELECT {self._key} FROM {self.table}{where} ORDER BY {self._order} LIMIT 1 OFFSET {rows - 1}",
            values,
        )

    def keyless(self) -> Statement:
        """A row whose key is NULL in part: SQLite allows it, and no range would ever meet it."""
        nulls = " OR ".join(f"{column.match} IS NULL" for column in self.keys)
        return f"SELECT 1 FROM {self.table} WHERE {nulls} LIMIT 1", ()

    def by_key(self, keys: Sequence[Key]) -> Statement:
        """All columns of the rows with these keys."""
        stored = [values for key in keys for values in alternatives(self.keys, key)]
        one = self._tuple([self.mark] * len(self.keys))
        matches = self._tuple([column.match for column in self.keys])
        listed = ", ".join([one] * len(stored))
        if len(self.keys) > 1 and self.mark == "?":
            listed = f"VALUES {listed}"
        return (
            f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE {matches} IN ({listed})",
            tuple(value for values in stored for value in values),
        )

    def digest(self, within: Range, seed: int) -> Statement:
        """The number of rows, and one number that covers them all: count, digest."""
        where, values = self._where(within)
        return f"SELECT count(*), bit_xor({self._row_hash(seed)}) FROM {self.table}{where}", values

    def buckets(self, within: Range, seed: int) -> Statement:
        """The same for each part of the range: bucket, count, digest."""
        where, values = self._where(within)
        columns = f"{self._bucket(seed)}, count(*), bit_xor({self._row_hash(seed)})"
        return f"SELECT {columns} FROM {self.table}{where} GROUP BY 1", values

    def row_hashes(self, within: Range, seed: int, buckets: Sequence[int]) -> Statement:
        """The key's columns and the hash of each row in these buckets."""
        where, values = self._where(within)
        columns = f"{self._key}, {self._row_hash(seed)}"
        chosen = f"{self._bucket(seed)} IN ({', '.join(map(str, buckets))})"
        return f"SELECT {columns} FROM {self.table}{where or ' WHERE true'} AND {chosen}", values

    @property
    def _key(self) -> str:
        return ", ".join(self.columns[at] for at in self.key)

    @property
    def _order(self) -> str:
        return ", ".join(column.order for column in self.keys)

    def _row_hash(self, seed: int) -> str:
        # Seeded by the row's own key, so that the same change in two rows does not cancel out under XOR.
        return f"hash_record_extended(ROW({', '.join(self.hashes)}), {self._row_seed(seed)})"

    def _row_seed(self, seed: int) -> str:
        if self.integer_key:
            return f"({self.keys[0].match})::int8 # {seed}"
        return self._key_hash(seed)

    def _key_hash(self, seed: int) -> str:
        return f"hash_record_extended(ROW({', '.join(self.hashes[at] for at in self.key)}), {seed})"

    def _bucket(self, seed: int) -> str:
        return f"({self._key_hash(seed)} & {BUCKETS - 1})"

    def _where(self, within: Range) -> Statement:
        left = self._tuple([column.order for column in self.keys])
        right = self._tuple([self.mark] * len(self.keys))
        ends = ((">", within.after), ("<=", within.to))
        conditions = [f"{left} {operator} {right}" for operator, end in ends if end is not None]
        values = tuple(value for _, end in ends if end is not None for value in bound(self.keys, end))
        return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values

    @staticmethod
    def _tuple(parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
