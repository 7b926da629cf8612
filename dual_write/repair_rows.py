"""A row that a repair is about, as both sides hold it now: as the check sees it, and as replication does."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from dual_write import keys as key_texts
from dual_write.adapter import Adapter
from dual_write.carrier import Carrier
from dual_write.databases import adapter
from dual_write.digest_keys import Key, alternatives
from dual_write.digest_pair import TablePair
from dual_write.digest_reader import SideReader
from dual_write.errors import SchemaError
from dual_write.repair_statement import Table
from dual_write.rows import Row


@dataclass(frozen=True, slots=True)
class Sides:
    """Both databases: as the check sees them, and as replication does.

    Nothing stays open from one row to the next: on SQLite a reader that lingers keeps every writer out, and a
    writer that waits keeps out this plan's own next read.
    """

    source: SideReader
    target: SideReader
    source_adapter: Adapter
    target_adapter: Adapter


@contextmanager
def both_sides(source: sa.Engine, target: sa.Engine) -> Iterator[Sides]:
    with ExitStack() as stack:
        ours, theirs = adapter(source.url), adapter(target.url)
        stack.callback(ours.dispose)
        stack.callback(theirs.dispose)
        yield Sides(
            stack.enter_context(SideReader(source, "source")),
            stack.enter_context(SideReader(target, "target")),
            ours,
            theirs,
        )


def source_row(sides: Sides, pair: TablePair, carried: Carrier, key: Key) -> Mapping[str, object] | None:
    """The source's row in the form that the target takes."""
    stored = [
        _key_text(sides.source.postgresql, values) for values in alternatives(pair.source_query.keys, key)
    ]
    with sides.source_adapter.reading() as session:
        rows = carried.reader.rows(session, stored)
    for raw in rows.values():
        try:
            values = carried.row(raw)
        except ValueError as error:
            raise SchemaError(
                f"row {list(key)} of {pair.flow.source!r} cannot be carried to {pair.flow.target!r}: "
                f"{error}; correct the row, or map the column in the plan"
            ) from error
        return dict(zip((column.target for column in pair.flow.columns), values, strict=True))
    return None


def _key_text(postgresql: bool, values: Row) -> str:
    return key_texts.encode([str(value) for value in values] if postgresql else values)


def target_row(sides: Sides, pair: TablePair, table: Table, key: Key) -> Mapping[str, object] | None:
    matches = " AND ".join(f"{column.match} = ?" for column in pair.target_query.keys)
    with sides.target_adapter.reading() as session:
        for values in alternatives(pair.target_query.keys, key):
            rows = session.execute(f"SELECT {table.selected()} FROM {table.sql} WHERE {matches}", *values)
            if rows:
                return dict(zip(table.types, rows[0], strict=True))
    return None


def differing(pair: TablePair, key: Key) -> list[str]:
    source, target = pair.rows([key])[key]
    if source is None or target is None:
        return []
    return [pair.columns.columns[at].name for at in pair.columns.intolerable(source, target)]
