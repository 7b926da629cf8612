import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.errors import FlagError
from flags.percent import FULL, Precision, format_percent, parse_percent


@pytest.mark.parametrize(
    ("text", "share"),
    [("0", 0), ("100", FULL), ("5 %", 500), (" 12% ", 1200), (7, 700), (7.0, 700), ("010", 1000)],
)
def test_percentages_are_read_as_permyriad(text: str | float, share: int) -> None:
    assert parse_percent(text, Precision.PERCENT) == share


@pytest.mark.parametrize(
    "text", ["101", "100.01", 1000, "abc", "", "-1", "1e1", "nan", "½", "٣", True, "5 %%"]
)
def test_what_is_no_percentage_is_refused_with_the_range(text: str | float) -> None:
    with pytest.raises(FlagError, match="from 0 to 100"):
        parse_percent(text, Precision.PERMYRIAD)


def test_half_a_percent_needs_permyriad_and_the_error_says_how() -> None:
    assert parse_percent("0.5", Precision.PERMYRIAD) == 50
    with pytest.raises(FlagError, match=r'0\.5 % .* `precision = "permyriad"`'):
        parse_percent("0.5", Precision.PERCENT)


def test_finer_than_a_permyriad_is_refused() -> None:
    with pytest.raises(FlagError, match=r"finer than 0\.01 %"):
        parse_percent("0.005", Precision.PERMYRIAD)


@given(st.integers(0, FULL))
def test_every_share_survives_being_written(share: int) -> None:
    assert parse_percent(format_percent(share), Precision.PERMYRIAD) == share
