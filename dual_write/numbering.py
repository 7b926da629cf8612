"""Numbers that databases give to rows, while both sides insert: each side counts in numbers of its own."""

from collections.abc import Iterator, Mapping, Sequence

from dual_write.adapter import Adapter
from dual_write.errors import SchemaError
from dual_write.mapping import TableMapping
from dual_write.stream import streams
from flags.side import Side

Adapters = Mapping[Side, Adapter]


def require_apart(phase: str, mappings: Sequence[TableMapping], adapters: Adapters) -> None:
    """Raises SchemaError when both sides could give one number to two rows."""
    for mapping in _moved(mappings):
        for side, table in _tables(mapping).items():
            for column, stride in _strides(adapters[side], table).items():
                if stride is None:
                    raise SchemaError(
                        f"phase {phase!r}: {_cause(adapters[side])}, and {table}.{column} on the {side} "
                        "would give one number to two rows while both sides write. Move all writes at once "
                        "with `strangler advance`, or let the application make the keys."
                    )


def interleave(phase: str, mappings: Sequence[TableMapping], adapters: Adapters, lock: float) -> None:
    """Let each side count on past all that either has given out, in steps that pass the other's numbers by.

    Neither side may be taking writes. ``lock`` is in seconds.
    """
    begun = _begun_on(phase, mappings)
    for mapping in _moved(mappings):
        tables = _tables(mapping)
        for columns in _numbered_on_both(mapping, adapters):
            top, stride = 0, 1
            for side, column in columns.items():
                with adapters[side].reading() as session:
                    top = max(top, adapters[side].highest(session, tables[side], column))
                stride = max(stride, _strides(adapters[side], tables[side])[column] or 1)
            # Each side's numbers have a remainder of their own. One block stays free: a sequence with a step
            # leaves the numbers up to its next one to the application.
            step = 2 * stride
            first = (top // step + 2) * step
            for start, (side, column) in zip((first, first + stride), columns.items(), strict=True):
                with adapters[side].writing(lock) as session:
                    adapters[side].interleave(session, begun[side], tables[side], column, step, start)


def restore(phase: str, mappings: Sequence[TableMapping], adapters: Adapters, lock: float) -> None:
    """Let both sides count as they did before ``interleave``."""
    for side, stream in _begun_on(phase, mappings).items():
        with adapters[side].writing(lock) as session:
            adapters[side].restore(session, stream)


def _cause(adapter: Adapter) -> str:
    if adapter.engine == "sqlite":
        return "SQLite always numbers an INTEGER PRIMARY KEY by one"
    return "a sequence that is not owned by its column (ALTER SEQUENCE … OWNED BY) is not taken apart"


def _numbered_on_both(mapping: TableMapping, adapters: Adapters) -> Iterator[dict[Side, str]]:
    numbered = {side: _strides(adapters[side], table) for side, table in _tables(mapping).items()}
    for column in mapping.forward:
        own = column.source
        if own is not None and own in numbered[Side.MONOLITH] and column.target in numbered[Side.SERVICE]:
            yield {Side.MONOLITH: own, Side.SERVICE: column.target}


def _strides(adapter: Adapter, table: str) -> Mapping[str, int | None]:
    with adapter.reading() as session:
        return adapter.strides(session, table)


def _moved(mappings: Sequence[TableMapping]) -> list[TableMapping]:
    return [mapping for mapping in mappings if not mapping.follow]


def _tables(mapping: TableMapping) -> dict[Side, str]:
    return {Side.MONOLITH: mapping.monolith, Side.SERVICE: mapping.service}


def _begun_on(phase: str, mappings: Sequence[TableMapping]) -> dict[Side, str]:
    """The streams of moved tables, by the side on which they begin."""
    return {stream.to.other: stream.name for stream in streams(phase, mappings) if not stream.follow}
