import sqlite3

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dual_write import keys

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    st.floats(allow_nan=False, allow_infinity=False),
)
ROWS = st.lists(VALUES, min_size=1, max_size=3).map(tuple)


@given(ROWS)
def test_a_key_comes_back_as_it_was_with_its_types(values: tuple[keys.Value, ...]) -> None:
    decoded = keys.decode(keys.encode(values))
    assert decoded == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


@given(ROWS, ROWS)
def test_different_keys_have_different_texts(
    one: tuple[keys.Value, ...], other: tuple[keys.Value, ...]
) -> None:
    alike = one == other and [type(value) for value in one] == [type(value) for value in other]
    assert alike or keys.encode(one) != keys.encode(other)


@given(ROWS)
def test_sqlites_triggers_write_the_same_key(values: tuple[keys.Value, ...]) -> None:
    names = [f'"c{number}"' for number in range(len(values))]
    listed = ", ".join(f"? AS {name}" for name in names)
    connection = sqlite3.connect(":memory:")
    [(text,)] = connection.execute(
        f"SELECT {keys.sqlite_expression('r', names)} FROM (SELECT {listed}) AS r", values
    )
    connection.close()
    assert keys.decode(text) == values


@pytest.mark.parametrize("text", ["{}", "7", "[[1]]", '[{"blob": 1}]', "nonsense", '["x"'])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        keys.decode(text)


def test_a_number_that_is_none_is_no_key() -> None:
    with pytest.raises(ValueError, match="cannot be part of a key"):
        keys.encode((float("nan"),))
