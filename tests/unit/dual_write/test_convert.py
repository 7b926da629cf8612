import pytest

from dual_write.convert import converter
from dual_write.errors import SchemaError
from dual_write.rows import TypeName


def to_postgresql(type_: str, value: object) -> object:
    return converter("sqlite", TypeName(""), "postgresql", TypeName(type_), "t.c")(value)


def from_postgresql(type_: str, value: str, target: str = "text") -> object:
    return converter("postgresql", TypeName(type_), "sqlite", TypeName(target), "t.c")(value)


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("bool", 1, "true"),
        ("bool", 0, "false"),
        ("int8", 7, "7"),
        ("int4", 7.0, "7"),
        ("numeric", 0.1, "0.1"),
        ("numeric", "1.10", "1.10"),
        ("float8", 1e300, "1e+300"),
        ("text", "é", "é"),
        ("text", 7, "7"),
        ("bytea", b"\x00\xff", "\\x00ff"),
        ("uuid", "0123", "0123"),
        ("jsonb", "{}", "{}"),
        ("timestamptz", "2024-01-01 10:00:00.000001", "2024-01-01 10:00:00.000001"),
    ],
)
def test_sqlites_values_become_postgresqls_text(type_: str, value: object, text: str) -> None:
    assert to_postgresql(type_, value) == text


@pytest.mark.parametrize(
    ("type_", "value"),
    [("bool", 2), ("bytea", "text"), ("text", b"blob"), ("timestamptz", 1700000000), ("int8", b"")],
)
def test_i9_a_value_of_the_wrong_kind_is_refused_and_not_shown(type_: str, value: object) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        to_postgresql(type_, value)
    assert repr(value) not in str(refused.value)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("bool", "true", 1),
        ("bool", "f", 0),
        ("int8", "-9", -9),
        ("float8", "0.1", 0.1),
        ("numeric", "1.10", "1.10"),
        ("bytea", "\\x00ff", b"\x00\xff"),
        ("timestamp", "2024-01-01 10:00:00.5", "2024-01-01 10:00:00.500000"),
        ("timestamptz", "2024-01-01 10:00:00+02", "2024-01-01 08:00:00.000000"),
        ("timestamptz", "2024-01-01T10:00:00", "2024-01-01 10:00:00.000000"),
        ("date", "2024-01-01", "2024-01-01"),
        ("time", "10:00:00", "10:00:00.000000"),
        ("enum", "ok", "ok"),
        ("jsonb", '{"a": 1}', '{"a": 1}'),
    ],
)
def test_postgresqls_text_becomes_sqlites_value(type_: str, text: str, value: object) -> None:
    assert from_postgresql(type_, text) == value


def test_a_uuid_is_stored_as_the_column_is_declared() -> None:
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    assert from_postgresql("uuid", uuid, "char(32)") == uuid.replace("-", "")
    assert from_postgresql("uuid", uuid, "text") == uuid


@pytest.mark.parametrize("type_", ["interval", "_text", "point", "int4range", "money"])
def test_a_type_without_counterpart_fails_closed(type_: str) -> None:
    with pytest.raises(SchemaError, match="no exact counterpart"):
        from_postgresql(type_, "x")
    with pytest.raises(SchemaError, match="no exact counterpart"):
        to_postgresql(type_, "x")


def test_within_one_engine_nothing_is_touched() -> None:
    value = object()
    assert converter("sqlite", TypeName(""), "sqlite", TypeName("text"), "t.c")(value) is value
