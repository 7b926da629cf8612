"""How a check keeps to its share of the time."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from dual_write import check_pace
from dual_write.check_pace import Pace
from tests.unit.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(check_pace, "time", clock)
    return clock


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1])
def test_it_reads_for_its_share_of_the_time(clock, share: float) -> None:
    pace = Pace(share)
    began = clock.now
    for _ in range(9):
        pace.run(lambda: clock.sleep(0.004))
    pace.run(lambda: None)  # before which the last rest is taken
    assert 9 * 0.004 / (clock.now - began) == pytest.approx(share)


def test_the_rest_grows_with_what_a_statement_took_but_not_for_ever(clock) -> None:
    pace = Pace(0.25)
    for took, rest in ((0.1, 0.3), (2.0, 6.0), (60.0, 10.0)):
        pace.run(lambda took=took: clock.sleep(took))
        ended = clock.now
        pace.run(lambda: None)
        assert clock.now - ended == pytest.approx(rest)


def test_a_statement_that_fails_is_rested_for_too(clock) -> None:
    pace = Pace(0.5)

    def fail() -> None:
        clock.sleep(1.0)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - what is raised does not matter
        pace.run(fail)
    ended = clock.now
    pace.run(lambda: None)
    assert clock.now - ended == pytest.approx(1.0)


def test_statements_shrink_while_the_server_is_slow_and_grow_while_it_is_quick(clock) -> None:
    pace, per_row = Pace(0.25), 1e-6

    def read() -> int:
        rows = pace.rows(100_000)
        pace.run(lambda: clock.sleep(rows * per_row))
        return rows

    assert max(read() for _ in range(30)) <= 2_000, "a statement may take a millisecond, and twice once"
    per_row = 1e-4
    assert [read() for _ in range(10)][-1] == 200
    per_row = 1e-7
    assert [read() for _ in range(12)][-1] > 5_000
    assert pace.rows(100) == 100, "a statement may be bound to fewer,"
    assert pace.rows(100_000) > 5_000, "which says nothing of the next"


def test_the_way_to_the_server_is_nobodys_burden(clock) -> None:
    pace = Pace(0.25)

    def read() -> int:
        rows = pace.rows(100_000)
        pace.run(lambda: clock.sleep(0.02 + rows * 1e-6), lambda: 0.02)
        return rows

    assert [read() for _ in range(12)][-1] > 400
    pace.run(lambda: clock.sleep(0.024), lambda: 0.02)
    ended = clock.now
    pace.run(lambda: None)
    assert clock.now - ended == pytest.approx(0.012)


def test_at_full_speed_nothing_waits(clock) -> None:
    pace = Pace()
    for _ in range(3):
        pace.run(lambda: clock.sleep(1.0))
    assert clock.now == 103.0
    assert pace.rows(100_000) == 100_000


def test_one_statement_runs_at_a_time_on_whichever_side() -> None:
    pace, spans = Pace(0.9), list[tuple[float, float]]()

    def statement() -> None:
        began = time.monotonic()
        time.sleep(0.002)
        spans.append((began, time.monotonic()))

    with ThreadPoolExecutor(2) as sides:
        for _ in range(20):
            sides.submit(pace.run, statement)
    assert all(one[1] <= other[0] for one, other in pairwise(sorted(spans)))
