"""The order of a table's repairs: rows that need another's unique value, or refer to it, come behind it.

Rows that wait for each other in a circle form one group, which stands or falls as a whole.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from dual_write.digest_keys import Key

Values = Mapping[str, object]
Columns = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One row: as it was ``found``, and ``wanted``: what to set in it, or the whole of a new row.

    Nothing found makes an insertion, nothing wanted a deletion.
    """

    key: Key
    found: Values | None
    wanted: Values | None

    @property
    def after(self) -> Values:
        """The row as it will be; empty when it will not."""
        return {} if self.wanted is None else {**(self.found or {}), **self.wanted}

    def gives(self, columns: Columns) -> tuple[object, ...] | None:
        """The values that the row has now and lets go of."""
        if self.found is None or (self.wanted is not None and not {*columns} & {*self.wanted}):
            return None
        return _whole(self.found, columns)

    def takes(self, columns: Columns) -> tuple[object, ...] | None:
        """The values that the row has yet to get."""
        if self.wanted is None or not {*columns} & {*self.wanted}:
            return None
        return _whole(self.after, columns)

    def comes(self, columns: Columns) -> tuple[object, ...] | None:
        """The values of a row that is new."""
        return _whole(self.after, columns) if self.found is None else None

    def goes(self, columns: Columns) -> tuple[object, ...] | None:
        """The values of a row that is to be deleted."""
        return _whole(self.found or {}, columns) if self.wanted is None else None


@dataclass(frozen=True, slots=True)
class Ties:
    """What binds a table's rows to each other: sets of columns that are unique, and those that refer to it.

    ``nullable`` columns are.
    """

    unique: Sequence[Columns] = ()
    references: Sequence[tuple[Columns, Columns]] = ()
    nullable: frozenset[str] = frozenset()


def groups(changes: Sequence[Change], ties: Ties) -> list[list[Change]]:
    """The changes so that each comes behind those it waits for; more than one in a group make a circle.

    Kosaraju's algorithm for strongly connected components.
    """
    waits = _waits(changes, ties)
    behind: list[list[int]] = [[] for _ in changes]
    for at, others in enumerate(waits):
        for other in others:
            behind[other].append(at)
    seen: set[int] = set()
    finished = [node for root in range(len(changes)) for node in _finished(root, waits, seen)]
    seen.clear()
    found = [sorted(_finished(root, behind, seen)) for root in reversed(finished) if root not in seen]
    return [[changes[at] for at in group] for group in reversed(found)]


def _waits(changes: Sequence[Change], ties: Ties) -> list[list[int]]:
    """For each change, the positions of those that have to come before it."""
    waits: list[list[int]] = [[] for _ in changes]

    def tie(first: Callable[[Change], object], then: Callable[[Change], object]) -> None:
        has: dict[object, list[int]] = {}
        for at, change in enumerate(changes):
            if (value := first(change)) is not None:
                has.setdefault(value, []).append(at)
        for at, change in enumerate(changes):
            waits[at] += [other for other in has.get(then(change), ()) if other != at]

    for columns in ties.unique:
        tie(partial(Change.gives, columns=columns), partial(Change.takes, columns=columns))
    for own, referred in ties.references:
        tie(partial(Change.comes, columns=referred), partial(Change.takes, columns=own))
        tie(partial(Change.gives, columns=own), partial(Change.goes, columns=referred))
    return waits


def _whole(row: Values, columns: Columns) -> tuple[object, ...] | None:
    """None where a value is NULL or not known: that is tied to nothing."""
    values = tuple(row.get(column) for column in columns)
    return None if None in values else values


def _finished(root: int, edges: Sequence[Sequence[int]], seen: set[int]) -> Iterator[int]:
    """Depth first, each node behind those that its edges lead to."""
    if root in seen:
        return
    seen.add(root)
    path = [(root, iter(edges[root]))]
    while path:
        node, following = path[-1]
        for other in following:
            if other not in seen:
                seen.add(other)
                path.append((other, iter(edges[other])))
                break
        else:
            path.pop()
            yield node
