"""Which messages are applied, and how far the inbox moves: the pure rules of the Kafka transport."""

from dataclasses import replace

import pytest

from dual_write.adapter import Position
from dual_write.inbox import Inbox
from dual_write.kafka_consumer import newest_of
from dual_write.kafka_inbox import Place, advanced
from dual_write.kafka_message import Kind, Message, Origin, Watermark

MESSAGE = Message(Origin("s", "x", 1), Kind.UPSERT, "t", "[1]", 5, 1, {"n": "a"}, "sqlite", "")
TRUNCATE = replace(MESSAGE, kind=Kind.TRUNCATE, key="", seq=7, row=None)
INBOX = Inbox(open=True, epoch=1, position=Position(xid=0, id=10, floor=3), passed=10)
PLACE = Place("x", "topic", 100, epoch=1, floor=3, xid=0, id=20, passed=20)


def at(seq: int, key: str = "[1]") -> Message:
    return replace(MESSAGE, seq=seq, key=key)


def test_the_newest_stands_for_those_before_it() -> None:
    assert newest_of([at(5), at(6), at(8)], {}, {}) == [replace(at(8), entries=3)]


def test_what_comes_twice_counts_once() -> None:
    assert newest_of([at(5), at(6), at(5), at(6)], {}, {}) == [replace(at(6), entries=2)]


def test_keys_do_not_mix() -> None:
    assert newest_of([at(5), at(6, "[2]")], {}, {}) == [at(5), at(6, "[2]")]


@pytest.mark.parametrize(("seq", "expected"), [(4, []), (5, [replace(at(5), entries=0)]), (6, [at(6)])])
def test_what_is_older_than_the_parked_change_does_not_unpark_it(seq: int, expected: list[Message]) -> None:
    assert newest_of([at(seq)], {("t", "[1]"): 5}, {}) == expected


@pytest.mark.parametrize(("seq", "kept"), [(6, False), (8, True)])
def test_a_row_from_before_its_tables_truncation_is_dropped_wherever_that_comes(seq: int, kept: bool) -> None:
    expected = [at(seq)] if kept else []
    assert newest_of([at(seq)], {}, {"t": 7}) == expected
    assert newest_of([at(seq), TRUNCATE], {}, {}) == [*expected, TRUNCATE]
    assert newest_of([TRUNCATE, at(seq)], {}, {}) == [TRUNCATE, *expected]
    assert newest_of([replace(at(6), table="other")], {}, {"t": 7}) == [replace(at(6), table="other")]


def test_the_inbox_moves_to_what_every_partition_has_passed() -> None:
    moved = advanced(INBOX, {0: PLACE, 1: replace(PLACE, id=15, passed=15), 2: PLACE})
    assert moved == replace(INBOX, position=Position(xid=0, id=15, floor=3), passed=15)


def test_reading_order_is_by_transaction_first() -> None:
    moved = advanced(INBOX, {0: replace(PLACE, xid=7, id=9, passed=12), 1: replace(PLACE, xid=8, id=4)})
    assert moved == replace(INBOX, position=Position(xid=7, id=9, floor=3), passed=12)


@pytest.mark.parametrize(
    "behind",
    [
        replace(PLACE, id=10, passed=10),  # the inbox is as far
        replace(PLACE, id=2, passed=2),  # a direct step was quicker
        replace(PLACE, epoch=0),  # from before the last change of writer
        replace(PLACE, floor=0),  # from before the last drain
    ],
)
def test_the_inbox_stays_while_one_partition_is_behind(behind: Place) -> None:
    assert advanced(INBOX, {0: PLACE, 1: behind}) == INBOX


def test_a_watermark_leaves_the_offset_alone() -> None:
    mark = Watermark(Origin("s", "x", 2), floor=4, xid=5, id=6, passed=7, sent_at="")
    assert PLACE.marked(mark) == Place("x", "topic", 100, epoch=2, floor=4, xid=5, id=6, passed=7)
