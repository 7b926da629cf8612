"""What workers tell of reads: kept second by second, then minute by minute, and then forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from facade.tally import ReadCounts
from flags.side import Side
from migration.control import Control
from migration.read_traffic import FINE_SECONDS, RETENTION_SECONDS, ControlReads, compact, pair_of, told_since
from migration.schema.observed import read_counts


@pytest.fixture(params=["sqlite", "postgresql"])
def control(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Control]:
    url = f"sqlite:///{tmp_path / 'control.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_database")()
    control = Control.open(url)
    yield control
    control.close()


def rows(control: Control) -> int:
    with control.read() as connection:
        return connection.scalar(select(func.count()).select_from(read_counts)) or 0


def age(control: Control, seconds: float) -> None:
    with control.write() as connection:
        connection.execute(update(read_counts).values(at=read_counts.c.at - seconds))


def test_old_counts_are_summed_up_and_lose_nothing(control: Control) -> None:
    sink = ControlReads(control)
    for number in range(20):
        sink.tell(
            [
                ReadCounts("search", Side.SERVICE, 10, number % 2, {1.5: 5, 3.0: 4}),
                ReadCounts("search", Side.MONOLITH, 20, 0, {1.5: 20}),
                ReadCounts("orders", Side.MONOLITH, 1, 0, {}),
            ]
        )
    with control.read() as connection:
        before = pair_of(told_since(connection, ["search"], 0.0))
    compact(control)
    assert rows(control) == 60  # they are judged by the second still
    age(control, FINE_SECONDS + 120)
    compact(control)
    assert rows(control) <= 6
    compact(control)
    with control.read() as connection:
        after = pair_of(told_since(connection, ["search"], 0.0))
    assert after == before
    assert (after.service.answered, after.service.failed) == (200, 10)
    assert after.monolith.milliseconds == {1.5: 400}
    age(control, RETENTION_SECONDS)
    compact(control)
    assert rows(control) == 0


def test_what_is_told_later_is_found_by_its_time(control: Control) -> None:
    sink = ControlReads(control)
    sink.tell([ReadCounts("search", Side.SERVICE, 1, 0, {})])
    with control.read() as connection:
        (first,) = told_since(connection, ["search"], 0.0)
        assert told_since(connection, ["orders"], 0.0) == []
    sink.tell([ReadCounts("search", Side.SERVICE, 2, 0, {})])
    with control.read() as connection:
        (later,) = told_since(connection, ["search"], first.at)
    assert later.answers.answered == 2
