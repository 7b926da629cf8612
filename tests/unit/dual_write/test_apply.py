from dual_write.adapter import Change
from dual_write.apply import WHOLE_TABLE, Work, gather
from dual_write.parking import Parked


def test_a_key_is_worked_on_once_with_its_newest_sequence() -> None:
    changes = [
        Change(1, 5, "t", "[1]"),
        Change(2, 3, "t", "[1]"),
        Change(2, 6, "t", "[2]"),
        Change(2, 7, "u", "[1]"),
    ]
    assert gather(changes, []) == [Work("t", "[1]", 5, 2), Work("t", "[2]", 6, 1), Work("u", "[1]", 7, 1)]


def test_parked_keys_come_again_and_count_no_entries_of_their_own() -> None:
    parked = Parked("t", "[1]", 4, 3, 1, 0.0, "no")
    assert gather([], [parked]) == [Work("t", "[1]", 4, 0)]
    assert gather([Change(1, 9, "t", "[1]")], [parked]) == [Work("t", "[1]", 9, 1)]


def test_a_truncated_table_is_one_work() -> None:
    assert gather([Change(1, 1, "t", None), Change(1, 2, "t", None)], []) == [Work("t", WHOLE_TABLE, 2, 2)]
