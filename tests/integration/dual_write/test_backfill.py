"""Copying what was there before."""

import threading

import pytest

from dual_write import backfill, postgresql_copy
from dual_write.errors import FencedError
from dual_write.relay import Relay
from dual_write.replication import BackfillProgress
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "_CHUNK", 10)
    monkeypatch.setattr(postgresql_copy, "_CHUNK", 10)


def test_backfill_under_concurrent_writes_ends_equal(pair: Pair) -> None:
    pair.define(T)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'before')" for number in range(0, 100, 2)))
    replication = pair.replication(MAPPING)
    replication.install()
    replication.guard(Side.SERVICE, Side.MONOLITH, 1, 5.0)
    replication.open(Side.SERVICE, 1)
    stop = threading.Event()
    relay = threading.Thread(
        target=Relay(pair.replication(MAPPING), lambda: [Side.SERVICE]).run, args=(stop,)
    )
    relay.start()

    def write(progress: BackfillProgress) -> None:
        """Between the chunks: behind, in and before what is copied."""
        pair.monolith.run(
            f"UPDATE t SET n = 'during {progress.rows}' WHERE id % 6 = 0",
            f"DELETE FROM t WHERE id IN ({progress.rows}, {progress.rows + 20})",
            f"INSERT INTO t VALUES ({progress.rows + 1}, 'new') ON CONFLICT (id) DO NOTHING",
        )

    assert replication.backfill(write, lambda: False)
    assert replication.settle(Side.SERVICE, 20.0)
    stop.set()
    relay.join()
    pair.assert_equal("t")


def test_it_stops_when_asked_and_resumes(pair: Pair) -> None:
    pair.define(T)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'x')" for number in range(35)))
    replication = pair.replication(MAPPING)
    replication.install()
    replication.open(Side.SERVICE, 1)
    seen: list[BackfillProgress] = []
    assert not replication.backfill(seen.append, lambda: bool(seen))
    assert replication.backfill(seen.append, lambda: False)
    assert [progress.rows for progress in seen] == [10, 20, 30, 35]
    assert [progress.done for progress in seen] == [False, False, False, True]
    assert seen[0].total == 35
    assert replication.backfill(seen.append, lambda: False)
    assert len(seen) == 4
    pair.assert_equal("t")


def test_rows_that_the_target_had_before_give_way(pair: Pair) -> None:
    pair.define(T)
    pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'x')" for number in range(12)))
    pair.service.run("INSERT INTO t VALUES (3, 'old'), (500, 'gone'), (-1, 'gone')")
    pair.started(MAPPING)
    pair.assert_equal("t")


def test_a_closed_direction_is_not_backfilled(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.replication(MAPPING)
    replication.install()
    with pytest.raises(FencedError):
        replication.backfill(lambda _: None, lambda: False)


def test_i3_a_row_changed_since_its_chunk_was_read_is_left_alone(like_pair: Pair) -> None:
    like_pair.define(T)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    replication = like_pair.replication(MAPPING)
    replication.install()
    replication.open(Side.SERVICE, 1)
    channel = next(channel for channel in replication._channels if channel.stream.to is Side.SERVICE)
    with channel.source.reading(snapshot=True) as here:
        rows = channel.whole.carriers["t"].reader.chunk(here, None, 10)
    like_pair.monolith.run("UPDATE t SET n = 'new' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    settle(replication)
    with channel.target.writing() as there:
        backfill.Backfill(channel)._rows(there, channel.whole.carriers["t"], rows)
    assert like_pair.rows(Side.SERVICE, "t") == [(1, "new")]


def test_a_row_that_the_target_refuses_is_parked_and_comes_later(pair: Pair) -> None:
    pair.define(T)
    pair.service.run("CREATE UNIQUE INDEX u ON t (n)")
    pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'c')")
    replication = pair.started(MAPPING)
    [parked] = replication.parked(Side.SERVICE)
    assert (parked.key, parked.entries) == ("[2]", 0)
    assert pair.rows(Side.SERVICE, "t") == [(1, "a"), (3, "c")]
    pair.monolith.run("UPDATE t SET n = 'b' WHERE id = 1")
    settle(replication)
    while replication.parked(Side.SERVICE):
        replication.step(Side.SERVICE)
    pair.assert_equal("t")
