import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_write.spool import Joined, Spool

SIZES = [0, 1, 999, 1000, 1001, 2500]


@pytest.mark.parametrize("size", SIZES)
def test_it_is_a_sequence_of_what_was_put_in(size: int) -> None:
    spool = Spool(range(size))
    assert spool == range(size)
    assert list(spool) == list(range(size))
    assert len(spool) == size
    assert bool(spool) is (size > 0)
    assert list(spool[:3]) == list(range(size))[:3]
    assert list(spool[-3::-1]) == list(range(size))[-3::-1]


def test_what_lies_in_the_file_is_found_again() -> None:
    spool = Spool(f"{number} {'x' * 1000}" for number in range(5_000))
    assert [spool[at][:4] for at in (0, 999, 1000, 3456, -1)] == ["0 xx", "999 ", "1000", "3456", "4999"]
    with pytest.raises(IndexError):
        spool[5_000]
    spool.extend(["more"])
    assert spool[-1] == "more"


def test_reading_while_it_grows_loses_nothing() -> None:
    spool = Spool(range(1_500))
    first = [one for one, _ in zip(spool, range(10), strict=False)]
    spool.extend(range(1_500, 3_000))
    assert first == list(range(10))
    assert spool == range(3_000)


@given(st.lists(st.lists(st.integers(), max_size=3), max_size=4))
def test_joined_sequences_are_one(parts: list[list[int]]) -> None:
    whole = [number for part in parts for number in part]
    joined = Joined(parts)
    assert joined == whole
    assert [joined[at] for at in range(len(joined))] == whole
    assert list(joined[1:]) == whole[1:]
    assert joined != [*whole, 1]
