"""Sequences: the new writer's identity values begin behind the old one's, and stay ahead of every row."""

from dataclasses import dataclass

from dual_write.adapter import Adapter
from dual_write.mapping import TableMapping
from dual_write.names import quote, table_in
from flags.side import Side


@dataclass(frozen=True, slots=True)
class SequenceBehind:
    """A column whose ``next`` value is not above what rows of either side ``hold``: inserts would collide."""

    table: str
    column: str
    next: int
    hold: int

    def __str__(self) -> str:
        return (
            f"{self.table}.{self.column} would be numbered {self.next} next, and rows up to {self.hold} are "
            "there: set its sequence behind them"
        )


def hand_over(mapping: TableMapping, to: Side, source: Adapter, target: Adapter) -> None:
    """Move the identity values of ``mapping``'s table on ``to`` past all that either side has given out."""
    here, there, pairs = _pairs(mapping, to)
    with target.reading() as session:
        identities = target.identities(session, here)
    for column, own in identities.items():
        if column not in pairs:
            continue  # the other side has no such numbers
        with source.reading() as session:
            given = source.highest(session, there, pairs[column])
        with target.writing() as session:
            target.advance_identity(session, here, column, max(own, given))


def behind(mapping: TableMapping, writer: Side, own: Adapter, other: Adapter) -> list[SequenceBehind]:
    """The columns that ``writer`` numbers whose next value would collide with a row of either side.

    Rows are read before the numbering, which only grows.
    """
    here, there, pairs = _pairs(mapping, writer)
    with own.reading() as session:
        columns = list(own.identities(session, here))
    found: list[SequenceBehind] = []
    for column in columns:
        held = _stored(own, here, column)
        if column in pairs:
            held = max(held, _stored(other, there, pairs[column]))
        with own.reading() as session:
            given = own.given(session, here, column)
        if given < held:
            found.append(SequenceBehind(here, column, given + 1, held))
    return found


def _pairs(mapping: TableMapping, side: Side) -> tuple[str, str, dict[str, str]]:
    """The table's names on ``side`` and on the other, and the latter's column for each of the former's."""
    pairs = {column.target: column.source for column in mapping.forward if column.source is not None}
    if side is Side.SERVICE:
        return mapping.service, mapping.monolith, pairs
    return mapping.monolith, mapping.service, {own: service for service, own in pairs.items()}


def _stored(database: Adapter, table: str, column: str) -> int:
    name = table_in(database.engine, table)
    with database.reading() as session:
        [(stored,)] = session.execute(f"SELECT max({quote(column)}) FROM {name}")
    return stored if isinstance(stored, int) else 0
