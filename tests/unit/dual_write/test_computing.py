"""What functions of the plan are given, and what becomes of what they return."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from dual_write.computing import arguments, load, written
from dual_write.errors import SchemaError

HERE = __name__
given: list[tuple[object, ...]] = []


def kept(*values: object) -> object:
    given.append(values)
    return values[0]


def returned(name: str) -> object:
    return VALUES[name][0]


def failing(*values: object) -> object:
    raise LookupError(f"no such {values}")


VALUES: dict[str, tuple[object, object, object]] = {
    "none": (None, None, None),
    "text": ("a", "a", "a"),
    "truth": (True, "true", 1),
    "whole": (12, "12", 12),
    "float": (0.1, "0.1", 0.1),
    "decimal": (Decimal("1.50"), "1.50", "1.50"),
    "bytes": (b"\0a", "\\x0061", b"\0a"),
    "moment": (
        datetime(2026, 1, 2, 3, tzinfo=UTC),
        "2026-01-02 03:00:00+00:00",
        "2026-01-02 03:00:00.000000+00:00",
    ),
    "day": (date(2026, 1, 2), "2026-01-02", "2026-01-02"),
    "clock": (time(3, 4), "03:04:00", "03:04:00.000000"),
    "document": ({"a": [1]}, '{"a": [1]}', '{"a": [1]}'),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_written_as_each_engine_takes_it(name: str) -> None:
    _, postgresql, sqlite = VALUES[name]
    assert written(f"{HERE}:returned", "postgresql")(f'["{name}"]') == postgresql
    assert written(f"{HERE}:returned", "sqlite")(f'["{name}"]') == sqlite


def test_numbers_are_given_exactly() -> None:
    written(f"{HERE}:kept", "sqlite")('["a", 1, 1.10, null, true]')
    assert given.pop() == ("a", 1, Decimal("1.10"), None, True)


def test_a_failure_is_told_without_its_words() -> None:
    with pytest.raises(ValueError, match=r":failing raised LookupError for this row$"):
        written(f"{HERE}:failing", "sqlite")('["secret"]')


def test_what_no_column_holds_is_refused() -> None:
    VALUES["object"] = (object(), None, None)
    with pytest.raises(ValueError, match="returned a object, which no column holds"):
        written(f"{HERE}:returned", "sqlite")('["object"]')
    del VALUES["object"]


def test_a_function_is_found_or_missed_with_a_hint() -> None:
    assert load(f"{HERE}:kept") is kept
    with pytest.raises(SchemaError, match="Did you mean 'failing'"):
        load(f"{HERE}:faling")
    with pytest.raises(SchemaError, match=r"'no_such\.module' of the plan's .* PYTHONPATH"):
        load("no_such.module:kept")


def test_the_arguments_are_one_array() -> None:
    assert arguments(["a", 'b"c'], "postgresql") == 'jsonb_build_array("a", "b""c")'
    assert arguments(["a"], "sqlite").startswith("json_array(CASE typeof(\"a\") WHEN 'blob'")
