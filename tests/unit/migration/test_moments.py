"""Times and periods as people write them."""

import pytest

from migration.errors import EvidenceError
from migration.moments import is_period, moment_of, period_of

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - 90),
        ("1.5h", NOW - 5400),
        ("7d", NOW - 7 * 86_400),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14 22:13:20Z", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
    ],
)
def test_a_time_is_so_long_ago_or_a_date(text: str, at: float) -> None:
    assert moment_of(text, NOW) == at


@pytest.mark.parametrize("text", ["", "yesterday", "2", "2 hours", "-3h", "2023-13-01"])
def test_what_is_no_time_is_told_with_examples(text: str) -> None:
    with pytest.raises(EvidenceError, match="30m, 2h or 7d"):
        moment_of(text, NOW)


def test_a_period_has_two_ends_and_the_later_may_be_now() -> None:
    assert period_of("2h..1h", NOW) == (NOW - 7200, NOW - 3600)
    assert period_of("2h..", NOW) == (NOW - 7200, NOW)
    assert (is_period("2h..1h"), is_period("2h")) == (True, False)
    with pytest.raises(EvidenceError, match="ends before it begins"):
        period_of("1h..2h", NOW)
