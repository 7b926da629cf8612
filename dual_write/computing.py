"""Columns that the plan's own Python functions compute: from a row's values to one, and nothing else.

The source hands the values over as one JSON array, so that functions see the same whatever the engine: text,
numbers, truth values and None; moments and UUIDs as text, bytes as hexadecimal text behind ``\\\\x``.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from difflib import get_close_matches
from importlib import import_module

from dual_write.convert import Converter
from dual_write.errors import SchemaError
from dual_write.names import quote

Function = Callable[..., object]


def arguments(columns: Sequence[str], dialect: str) -> str:
    """SQL for the values of ``columns``."""
    if dialect == "postgresql":
        return f"jsonb_build_array({', '.join(map(quote, columns))})"
    values = (
        f"CASE typeof({name}) WHEN 'blob' THEN '\\x' || lower(hex({name})) ELSE {name} END"
        for name in map(quote, columns)
    )
    return f"json_array({', '.join(values)})"


def load(reference: str) -> Function:
    """The function that ``module:name`` names. Raises SchemaError when there is none."""
    module, _, name = reference.partition(":")
    try:
        found = import_module(module)
    except ImportError as error:
        raise SchemaError(
            f"module {module!r} of the plan's {reference!r} cannot be imported ({error.name or module!r} is "
            "missing); install it beside strangler, or name its directory in PYTHONPATH"
        ) from error
    function: Function | None = getattr(found, name, None)
    if not callable(function):
        near = get_close_matches(name, dir(found), 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SchemaError(f"module {module!r} has no function {name!r}.{hint}")
    return function


def computed(reference: str) -> Converter:
    """From the array to the function's value.

    Raises ValueError where the function fails, without its words: they may hold the row's values.
    """
    function = load(reference)

    def compute(given: object) -> object:
        values = json.loads(str(given), parse_float=Decimal)
        try:
            value = function(*values)
        except Exception as error:  # noqa: BLE001 - whatever a plan's function raises is about this row
            raise ValueError(f"{reference} raised {type(error).__name__} for this row") from None
        if value is not None and not isinstance(value, _TAKEN):
            raise ValueError(f"{reference} returned a {type(value).__name__}, which no column holds")
        return json.dumps(value) if isinstance(value, dict | list) else value

    return compute


def written(reference: str, engine: str) -> Converter:
    """As ``computed``, in the form that ``engine`` takes."""
    compute = computed(reference)
    form = _postgresql if engine == "postgresql" else _sqlite

    def write(given: object) -> object:
        value = compute(given)
        return None if value is None else form(value)

    return write


_TAKEN = (str, bool, int, float, Decimal, bytes, datetime, date, time, dict, list)


def _postgresql(value: object) -> object:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return "\\x" + value.hex()
        case float():
            return repr(value)
        case _:
            return str(value)


def _sqlite(value: object) -> object:
    match value:
        case bool():
            return int(value)
        case Decimal():
            return str(value)
        case datetime():
            return value.isoformat(sep=" ", timespec="microseconds")
        case date():
            return value.isoformat()
        case time():
            return value.isoformat(timespec="microseconds")
        case _:
            return value
