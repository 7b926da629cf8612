"""What is said of a load: the pause it met, and what became of its writes."""

import json
from dataclasses import astuple
from pathlib import Path

import pytest

from benchmarks.writes import Write, added_p99, lost_and_doubled, p99, read


def write(due: float, ms: float, status: int = 201, ref: str = "") -> Write:
    return Write(ref or f"order-{due}", due, due + ms / 1000, status)


def test_a_pause_is_what_was_added_to_the_median_before() -> None:
    calm = [write(9 + n / 100, 2.0) for n in range(99)]
    held = [write(10 + n / 100, 102.0) for n in range(10)]
    after = [write(11 + n / 100, 3.0) for n in range(10)]
    assert added_p99(calm + held + after, 10.0, 10.1, calm=1.0) == pytest.approx(100.0)


def test_a_write_that_was_sent_before_the_hold_and_answered_within_it_met_it() -> None:
    assert added_p99([write(9.5, 1.0), write(9.99, 51.0)], 10.0, 10.1, calm=1.0) == pytest.approx(50.0)


def test_writes_from_before_the_calm_time_say_nothing_of_it() -> None:
    early, calm, held = write(1.0, 500.0), write(9.5, 1.0), write(10.0, 11.0)
    assert added_p99([early, calm, held], 10.0, 10.1, calm=1.0) == pytest.approx(10.0)


def test_a_switch_that_no_write_met_has_no_pause() -> None:
    with pytest.raises(ValueError, match="the load has to run"):
        added_p99([write(9.5, 1.0)], 10.0, 10.1, calm=1.0)


def test_one_value_is_its_own_percentile() -> None:
    assert p99([7.0]) == 7.0
    assert p99(range(101)) == 99.0


def test_acknowledged_writes_must_be_there_once_and_others_at_most_once() -> None:
    writes = [write(1, 1, ref="kept"), write(2, 1, ref="gone"), write(3, 1, ref="twice")]
    unanswered = [write(4, 1, status=0, ref="arrived"), write(5, 1, status=503, ref="refused")]
    assert lost_and_doubled(writes + unanswered, ["kept", "twice", "twice", "arrived"]) == (1, 1)


def test_a_load_is_read_as_it_was_left(tmp_path: Path) -> None:
    writes = [write(1, 2), write(3, 4, status=0)]
    file = tmp_path / "writes.jsonl"
    file.write_text("".join(json.dumps(astuple(each)) + "\n" for each in writes))
    assert read(file) == writes
    assert [each.acknowledged for each in writes] == [True, False]
