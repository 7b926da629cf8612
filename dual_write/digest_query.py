"""The SQL that reads one side of a pair of tables, a key range at a time: pure text."""

from collections.abc import Sequence
from dataclasses import dataclass

from dual_write.digest_keys import Key, KeyColumn, alternatives, arrays, bound

Statement = tuple[str, tuple[object, ...]]
"""SQL and its parameters."""

# How many keys are looked up with one statement: SQLite takes each as parameters of its own.
_KEYS_IN_ARRAYS = 5_000
_KEYS_IN_LIST = 200


@dataclass(frozen=True, slots=True)
class Range:
    """The keys greater than ``after`` up to and including ``to``; None is open.

    ``rows`` is how many one of the sides has at most, or had when it was asked.
    """

    after: Key | None = None
    to: Key | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Query:
    """One side's table. ``table`` and the expressions are SQL; ``key`` are positions in ``columns``.

    ``columns`` are such that the driver can deliver them exactly; ``hashes`` are for the pushed-down digest,
    empty where it is not to be had; those at ``texts`` are text.
    ``integer_key``: the key is one whole number on both sides. ``mark`` is the driver's placeholder.
    """

    table: str
    keys: tuple[KeyColumn, ...]
    columns: tuple[str, ...]
    key: tuple[int, ...]
    hashes: tuple[str, ...]
    texts: frozenset[int]
    integer_key: bool
    mark: str

    def rows(self, within: Range, limit: int) -> Statement:
        """All columns of up to ``limit`` rows in key order."""
        where, values = self.where(within)
        return (
            f"SELECT {', '.join(self.columns)} FROM {self.table}{where} ORDER BY {self._order} LIMIT {limit}",
            values,
        )

    def packed(self, within: Range, limit: int | None, packed: Sequence[str]) -> Statement:
        """The number of rows, up to ``limit``, and a SHA-256 of each of these aggregates of PostgreSQL.

        To them the rows are in key order, and the columns are c0, c1, …
        """
        where, values = self.where(within)
        columns = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(self.columns))
        rows = f"SELECT {columns} FROM {self.table}{where} ORDER BY {self._order}"
        if limit is not None:
            rows += f" LIMIT {limit}"
        digests = ", ".join(f"sha256({aggregate})" for aggregate in packed)
        return f"SELECT count(*), {digests} FROM ({rows}) AS read", values

    def boundary(self, within: Range, rows: int) -> Statement:
        """The key of the ``rows``-th row, if there are that many."""
        where, values = self.where(within)
        return (
            f"SELECT {self._key} FROM {self.table}{where} ORDER BY {self._order} LIMIT 1 OFFSET {rows - 1}",
            values,
        )

    def distinct(self, within: Range, limit: int) -> Statement:
        """The distinct keys of a range in order, of rows whose key has no NULL."""
        where, values = self.where(within)
        named = " AND ".join(f"{column.match} IS NOT NULL" for column in self.keys)
        listed = ", ".join(f"{self.columns[at]} AS k{number}" for number, at in enumerate(self.key))
        orders = ", ".join(f"{column.order} AS o{number}" for number, column in enumerate(self.keys))
        rows = f"SELECT DISTINCT {listed}, {orders} FROM {self.table}{where or ' WHERE true'} AND {named}"
        keys = ", ".join(f"k{number}" for number in range(len(self.key)))
        order = ", ".join(f"o{number}" for number in range(len(self.keys)))
        return f"SELECT {keys} FROM ({rows}) AS named ORDER BY {order} LIMIT {limit}", values

    def blocks(self) -> str:
        """How many blocks PostgreSQL's largest file of the table has."""
        regclass = "'" + self.table.replace("'", "''") + "'::regclass"
        return (
            f"SELECT greatest(pg_relation_size({regclass}), (SELECT max(pg_relation_size(relid)) "
            f"FROM pg_partition_tree({regclass}))) / current_setting('block_size')::bigint"
        )

    def lying(self, block: int, end: int | None) -> Statement:
        """All columns of PostgreSQL's rows from this block of the file on, up to ``end`` if there is one."""
        until = "" if end is None else f" AND ctid < '({end},0)'::tid"
        columns = ", ".join(self.columns)
        return f"SELECT {columns} FROM {self.table} WHERE ctid >= '({block},0)'::tid{until}", ()

    def following(self, after: int | None, limit: int) -> Statement:
        """All columns, and the row's number, of so many of SQLite's rows after the one with this number."""
        columns = ", ".join((*self.columns, "_rowid_"))
        where, values = ("", ()) if after is None else (" WHERE _rowid_ > ?", (after,))
        return f"SELECT {columns} FROM {self.table}{where} ORDER BY _rowid_ LIMIT {limit}", values

    def keyless(self) -> Statement:
        """A row whose key is NULL in part: SQLite allows it, and no range would ever meet it."""
        nulls = " OR ".join(f"{column.match} IS NULL" for column in self.keys)
        return f"SELECT 1 FROM {self.table} WHERE {nulls} LIMIT 1", ()

    @property
    def lookup(self) -> int:
        """How many keys ``by_key`` takes at once."""
        return _KEYS_IN_ARRAYS if self._postgresql else _KEYS_IN_LIST

    def by_key(self, keys: Sequence[Key]) -> Statement:
        """All columns of the rows with these keys."""
        found = f"SELECT {', '.join(self.columns)} FROM {self.table} WHERE "
        matches = self._tuple([column.match for column in self.keys])
        if self._postgresql:
            listed = ", ".join(f"{self.mark}::{column.type}[]" for column in self.keys)
            among = f"= ANY({listed})" if len(self.keys) == 1 else f"IN (SELECT * FROM unnest({listed}))"
            return f"{found}{matches} {among}", arrays(self.keys, keys)
        stored = [values for key in keys for values in alternatives(self.keys, key)]
        listed = ", ".join([self._tuple([self.mark] * len(self.keys))] * len(stored))
        return (
            f"{found}{matches} IN ({listed if len(self.keys) == 1 else f'VALUES {listed}'})",
            tuple(value for values in stored for value in values),
        )

    def digests(self, within: Range, seed: int, parts: int, most: int | None = None) -> Statement:
        """One number for all rows of each part of the range: part, count, digest.

        A row's part is a hash of its key; ``parts`` is a power of two. With ``most`` no more rows are read: a
        side may have many where the other has few. Servers do not share such a statement among processes.
        """
        where, values = self.where(within)
        part = "0" if parts == 1 else self._part(seed, parts)
        grouped = "" if parts == 1 else " GROUP BY 1"
        columns = f"{part}, count(*), bit_xor({self._row_hash(seed)})"
        rows = f"{self.table}{where}"
        if most is not None:
            rows = f"(SELECT * FROM {rows} LIMIT {most}) AS limited"
        return f"SELECT {columns} FROM {rows}{grouped}", values

    def row_hashes(self, within: Range, seed: int, parts: int, chosen: Sequence[int]) -> Statement:
        """The key's columns and the hash of each row in the chosen parts."""
        where, values = self.where(within)
        rows = f"SELECT {self._key}, {self._row_hash(seed)} FROM {self.table}{where}"
        if parts == 1:
            return rows, values
        among = f"{self._part(seed, parts)} = ANY({self.mark}::bigint[])"
        return f"{rows} {'AND' if where else 'WHERE'} {among}", (*values, list(chosen))

    @property
    def _postgresql(self) -> bool:
        return self.mark == "%s"

    @property
    def _key(self) -> str:
        return ", ".join(self.columns[at] for at in self.key)

    @property
    def _order(self) -> str:
        return ", ".join(column.order for column in self.keys)

    def _row_hash(self, seed: int) -> str:
        """All columns' hashes, each seeding the next. What is no text is hashed as an array, which takes less
        time than a record; texts outside of it, which takes less than within.
        """
        key = self._number
        apart = self.texts | frozenset(self.key if key else ())
        fixed = [sql for at, sql in enumerate(self.hashes) if at not in apart]
        # Seeded by the row's own key, so that the same change in two rows does not cancel out under XOR.
        hashed = own = f"{key} # {seed}" if key else self._key_hash(seed)
        if fixed:
            # An array of nothing but NULL makes no use of its seed.
            hashed = f"hash_array_extended(ARRAY[{', '.join(fixed)}], {own}) # {own if key else seed}"
        if key:
            # The hash of a number folds its halves together, so that the seed names it too.
            hashed = f"hashint8extended({key}, {hashed})"
        for at in sorted(self.texts):
            # NULL is as a text that no row has: it is drawn by chance.
            hashed = f"hashtextextended(coalesce({self.hashes[at]}, '{seed}'), {hashed})"
        return hashed

    @property
    def _number(self) -> str | None:
        """The key, if it is one whole number."""
        return f"({self.keys[0].match})::int8" if self.integer_key else None

    def _key_hash(self, seed: int) -> str:
        return f"hash_record_extended(ROW({', '.join(self.hashes[at] for at in self.key)}), {seed})"

    def _part(self, seed: int, parts: int) -> str:
        if key := self._number:
            # Keys may collide here: all that counts is that both sides put a key into the same part.
            return f"(hashint8extended({key}, {seed}) & {parts - 1})"
        return f"({self._key_hash(seed)} & {parts - 1})"

    def where(self, within: Range) -> Statement:
        """The condition that picks a range, and its values."""
        left = self._tuple([column.order for column in self.keys])
        right = self._tuple([self.mark] * len(self.keys))
        ends = ((">", within.after), ("<=", within.to))
        conditions = [f"{left} {operator} {right}" for operator, end in ends if end is not None]
        values = tuple(value for _, end in ends if end is not None for value in bound(self.keys, end))
        return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values

    @staticmethod
    def _tuple(parts: Sequence[str]) -> str:
        return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
