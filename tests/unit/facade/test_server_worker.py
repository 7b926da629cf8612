"""A worker's signs of life."""

import pytest
from uvicorn import Config

from facade import server


@pytest.fixture
def worker() -> server.Worker:
    return server.Worker(Config("nothing:at_all"), [])


def test_a_worker_that_answers_never_hangs(worker: server.Worker) -> None:
    for now in (0.0, 100.0, 200.0):
        assert not worker.hangs(now)
        assert worker.child_conn.recv() == b"ping"
        worker.child_conn.send(True)
        assert not worker.hangs(now + 99.0), "however late somebody looks"


def test_a_worker_that_says_nothing_for_long_hangs(worker: server.Worker) -> None:
    assert [worker.hangs(now) for now in (0.0, 5.0, 20.0, 20.5)] == [False, False, False, True]


def test_one_that_ended_is_none_that_hangs(worker: server.Worker) -> None:
    worker.child_conn.close()
    assert not worker.hangs(0.0)
    worker.parent_conn.close()
    assert not worker.hangs(1.0)
