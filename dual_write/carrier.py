"""Carriers: one table's flow made ready to run between two given databases."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from dual_write.adapter import Adapter
from dual_write.computing import written
from dual_write.convert import Converter, as_it_is, converter
from dual_write.errors import SchemaError
from dual_write.mapping import TableFlow
from dual_write.rows import AMBIGUOUS, Reader, Row, Session, Writer


@dataclass(frozen=True, slots=True)
class Carrier:
    """Reads rows from the source and turns them into what the target takes."""

    flow: TableFlow
    reader: Reader
    writer: Writer
    convert: Callable[[Row], Row]
    convert_key: Callable[[Row], Row]

    def row(self, raw: Row) -> Row:
        """Raises ValueError for a row that is not the only one, or a value that cannot be carried exactly."""
        if raw is AMBIGUOUS:
            raise ValueError(
                f"more than one of {', '.join(self.flow.lanes)} holds this key; delete all but one"
            )
        return self.convert(raw)

    def key(self, key: str) -> Row:
        """The target's key values for a source's key text. Raises ValueError as ``row``."""
        return self.convert_key(self.reader.values(key))


def carrier(
    flow: TableFlow, source: Adapter, source_session: Session, target: Adapter, target_session: Session
) -> Carrier:
    """Raises SchemaError when a table or column is missing or a type cannot be carried."""
    columns = [column.target for column in flow.columns]
    if missing := [column for column in flow.target_key if column not in columns]:
        raise SchemaError(
            f"table {flow.target!r}: its key column {missing[0]!r} is not mapped; map it in the plan"
        )
    writer = target.writer(target_session, flow)
    wanted = (
        [None if column.python else type_ for column, type_ in zip(flow.columns, writer.types, strict=True)]
        if source.engine == target.engine
        else None
    )
    reader = source.reader(source_session, flow, wanted)
    between = (source.engine, target.engine)
    return Carrier(
        flow,
        reader,
        writer,
        _together(
            written(column.python, target.engine)
            if column.python
            else converter(between[0], own, between[1], to, f"{flow.target}.{column.target}")
            for own, to, column in zip(reader.types, writer.types, flow.columns, strict=True)
        ),
        _together(
            converter(between[0], own, between[1], to, f"{flow.target}.{column}")
            for own, to, column in zip(reader.key_types, writer.key_types, flow.target_key, strict=True)
        ),
    )


def _together(each: Iterable[Converter]) -> Callable[[Row], Row]:
    converters = tuple(each)
    if all(convert is as_it_is for convert in converters):
        return _unchanged
    return partial(_converted, converters)


def _unchanged(row: Row) -> Row:
    return row


def _converted(converters: Sequence[Converter], row: Row) -> Row:
    return tuple(
        None if value is None else convert(value) for convert, value in zip(converters, row, strict=True)
    )
