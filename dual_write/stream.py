"""Streams: what one change log entry belongs to, and one inbox takes in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dual_write.adapter import Captured
from dual_write.errors import SchemaError
from dual_write.flows import flows
from dual_write.mapping import TableFlow, TableMapping
from flags.side import Side


@dataclass(frozen=True, slots=True)
class Stream:
    """The tables of one phase that flow together towards one side.

    Tables that follow the monolith have a stream of their own, which no change of writer closes.
    ``outbox``: the source's application logs its changes itself.
    """

    name: str
    to: Side
    follow: bool
    mappings: tuple[TableMapping, ...]
    outbox: bool = False

    def flows(self) -> tuple[TableFlow, ...]:
        """Raises MappingError when a mapping cannot run in this direction."""
        return flows(self.mappings, self.to)

    def captured(self) -> tuple[Captured, ...]:
        """The tables on the source's side, each once."""
        side = self.to.other
        outbox = self.outbox and side is Side.MONOLITH
        tables = (Captured(self.name, m.table(side), m.key(side), outbox) for m in self.mappings)
        return tuple({captured.table: captured for captured in tables}.values())

    def of_source(self, faults: Mapping[str, SchemaError]) -> dict[str, SchemaError]:
        """What is known of the monolith's tables, by the names that the source has for them."""
        side = self.to.other
        return {m.table(side): faults[m.monolith] for m in self.mappings if m.monolith in faults}


def against(stream: Stream, among: Sequence[Stream]) -> Stream | None:
    """The stream that carries the same tables the other way; tables that follow have none."""
    if stream.follow:
        return None
    return next((each for each in among if each.to is stream.to.other and not each.follow), None)


def streams(phase: str, mappings: Sequence[TableMapping], *, outbox: bool = False) -> tuple[Stream, ...]:
    """Every stream of a phase: following tables first, as moved tables may refer to them.

    With ``outbox`` the monolith logs its changes itself; the service's are always logged by triggers.
    """
    following = tuple(mapping for mapping in mappings if mapping.follow)
    moved = tuple(mapping for mapping in mappings if not mapping.follow)
    found = []
    if following:
        found.append(Stream(f"{phase}>{Side.SERVICE}+follow", Side.SERVICE, True, following, outbox))
    if moved:
        found.append(Stream(f"{phase}>{Side.SERVICE}", Side.SERVICE, False, moved, outbox))
        found.append(Stream(f"{phase}>{Side.MONOLITH}", Side.MONOLITH, False, moved))
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
