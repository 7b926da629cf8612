"""A state is read back as it was written, whatever a key is made of."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dual_write.canonical import Clock, Day, Json, Moment
from dual_write.check_state import TableState, from_text, to_text

values = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    st.decimals(allow_nan=False),
    # What is no UTF-8 arrives as lone surrogates of the lower half.
    st.text(
        st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
    ),
    st.binary(),
    st.uuids(),
    st.builds(Moment, st.integers()),
    st.builds(Day, st.integers()),
    st.builds(Clock, st.integers()),
    st.builds(Json, st.text()),
)
keys = st.lists(values, min_size=1, max_size=3).map(tuple)
states = st.builds(
    TableState,
    st.booleans(),
    st.none() | keys,
    st.integers(min_value=0),
    st.lists(keys, max_size=3).map(tuple),
    st.booleans(),
)


@given(states)
def test_a_state_is_read_back_as_it_was(state):
    text = to_text(state)
    assert text.isascii()
    again = from_text(text)
    assert again == state
    assert repr(again) == repr(state)


def test_numbers_that_python_calls_equal_stay_apart():
    state = TableState(True, (1, 1.0, Decimal(1), -0.0, "1"))
    assert [type(value) for value in from_text(to_text(state)).after or ()] == [
        int,
        float,
        Decimal,
        float,
        str,
    ]
