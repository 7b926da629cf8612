"""Streams: what one change log entry belongs to, and one inbox takes in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dual_write.adapter import Captured
from dual_write.mapping import TableFlow, TableMapping
from flags.side import Side


@dataclass(frozen=True, slots=True)
class Stream:
    """The tables of one phase that flow together towards one side.

    Tables that follow the monolith have a stream of their own, which no change of writer closes.
    """

    name: str
    to: Side
    follow: bool
    mappings: tuple[TableMapping, ...]

    def flows(self) -> tuple[TableFlow, ...]:
        """Raises MappingError when a mapping cannot run in this direction."""
        return tuple(mapping.towards(self.to) for mapping in self.mappings)

    def captured(self) -> tuple[Captured, ...]:
        """The tables on the source's side."""
        if self.to is Side.SERVICE:
            return tuple(Captured(self.name, m.monolith, m.monolith_key) for m in self.mappings)
        return tuple(Captured(self.name, m.service, m.service_key) for m in self.mappings)


def against(stream: Stream, among: Sequence[Stream]) -> Stream | None:
    """The stream that carries the same tables the other way; tables that follow have none."""
    if stream.follow:
        return None
    return next((each for each in among if each.to is stream.to.other and not each.follow), None)


def streams(phase: str, mappings: Sequence[TableMapping]) -> tuple[Stream, ...]:
    """Every stream of a phase: following tables first, as moved tables may refer to them."""
    following = tuple(mapping for mapping in mappings if mapping.follow)
    moved = tuple(mapping for mapping in mappings if not mapping.follow)
    found = []
    if following:
        found.append(Stream(f"{phase}>{Side.SERVICE}+follow", Side.SERVICE, True, following))
    if moved:
        found += [Stream(f"{phase}>{side}", side, False, moved) for side in (Side.SERVICE, Side.MONOLITH)]
    return tuple(found)


def parents_first(tables: Iterable[str], references: dict[str, set[str]]) -> list[str]:
    """The tables so that each comes behind those it refers to; a cycle is cut where it is met."""
    ordered: list[str] = []
    visiting: set[str] = set()

    def visit(table: str) -> None:
        if table in visiting:
            return
        visiting.add(table)
        for parent in sorted(references.get(table, ())):
            visit(parent)
        ordered.append(table)

    for table in tables:
        visit(table)
    return ordered
