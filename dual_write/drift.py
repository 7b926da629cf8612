"""Schema drift: what became of the two tables of a flow since capture began. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dual_write.mapping import TableFlow
from flags.side import Side

Shape = Mapping[str, str]
"""A table's columns that can be written to, by name, with their types as its database spells them."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """``columns``: which of the target's are filled by nothing but a column of the source, and by which."""

    source: Shape
    target: Shape
    columns: Mapping[str, str]


def shapes(flow: TableFlow, source: Shape, target: Shape) -> Shapes:
    """What a flow is by the plan and its tables now."""
    bare = {column.target: column.source for column in flow.columns if column.source is not None}
    return Shapes(source, target, bare)


@dataclass(frozen=True, slots=True)
class Drift:
    """What is no longer as it was. ``table`` is the source's; ``blocks``: its changes wait for the remedy."""

    table: str
    text: str
    blocks: bool


def drift(flow: TableFlow, to: Side, before: Shapes, now: Shapes, *, one_engine: bool) -> list[Drift]:
    """``one_engine``: types of the two sides can be compared by name."""
    names = f"the {to.other}'s table {flow.source!r}", f"the {to}'s table {flow.target!r}"
    found = [Drift(flow.source, text, blocks=True) for text in _broken(names, before, now, one_engine)]
    return found or [Drift(flow.source, text, blocks=False) for text in _added(names[0], before, now)]


def lost_capture(table: str) -> Drift:
    """Of a table whose changes are no longer logged."""
    text = (
        f"table {table!r} has lost its capture (was it made anew?), so its changes are not logged; "
        "run `strangler sync` and `strangler check --repair`"
    )
    return Drift(table, text, blocks=False)


def _broken(names: tuple[str, str], before: Shapes, now: Shapes, one_engine: bool) -> Iterator[str]:
    for table, carried, old, new in (
        (names[0], before.columns.values(), before.source, now.source),
        (names[1], before.columns.keys(), before.target, now.target),
    ):
        if not new:
            yield (
                f"{table} is gone; rename it back, or put its new name into the plan, "
                "restart the relay and run `strangler sync`"
            )
            return
        for column in carried:
            if column in old and column not in new:
                yield f"{table} has lost its column {column!r}{_renamed(column, old, new)}"
    for target, source in before.columns.items():
        yield from _retyped(names, source, target, before, now, one_engine)


def _renamed(column: str, old: Shape, new: Shape) -> str:
    likely = [name for name, type_ in new.items() if name not in old and type_ == old[column]]
    guess = f" (renamed to {likely[0]!r}?)" if len(likely) == 1 else ""
    return (
        f"{guess}, which is carried; put it back, or change the plan's columns, restart the relay and run "
        "`strangler sync`"
    )


def _retyped(
    names: tuple[str, str], source: str, target: str, before: Shapes, now: Shapes, one_engine: bool
) -> Iterator[str]:
    old = before.source.get(source), before.target.get(target)
    new = now.source.get(source), now.target.get(target)
    if None in new or new == old or (one_engine and new[0] == new[1]):
        return
    for table, column, was, is_, other in (
        (names[0], source, old[0], new[0], new[1]),
        (names[1], target, old[1], new[1], new[0]),
    ):
        if was is not None and was != is_:
            yield (
                f"column {column!r} of {table} was {was} and is {is_} now, "
                f"the other side's is {other}; give both the same type, "
                "or run `strangler sync` to carry it as it is"
            )


def _added(table: str, before: Shapes, now: Shapes) -> Iterator[str]:
    for column in now.source:
        if column not in before.source:
            yield (
                f"{table} has a new column {column!r}, which was not there when capture "
                "began; decide in the plan (`columns` or `drop`), restart the relay, then run "
                "`strangler sync` and `strangler check --repair`"
            )
