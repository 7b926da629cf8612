import pytest

from dual_write.ahead import LARGEST, SMALLEST, paced


@pytest.mark.parametrize(
    ("limit", "entries", "seconds", "following"),
    [
        (1000, 1000, 0.04, 2000),
        (1000, 999, 0.04, 1000),
        (1000, 1000, 0.1, 1000),
        (1000, 1000, 0.2, 500),
        (LARGEST, LARGEST, 0.0, LARGEST),
        (SMALLEST, SMALLEST, 9.0, SMALLEST),
    ],
)
def test_batches_are_as_long_as_time_allows(limit: int, entries: int, seconds: float, following: int) -> None:
    assert paced(limit, entries, seconds) == following
