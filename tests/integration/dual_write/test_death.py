"""Processes that die, freeze or come twice."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from dual_write.channel import Channel
from dual_write.errors import FencedError
from dual_write.relay import Relay
from dual_write.rows import Session
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT)"
MAPPING = mapped("t", ("id",), "n")

# Runs one act in another process, which stops for good just before its target transaction commits.
CHILD = """
import sys
from dual_write import backfill, inbox, replication
from flags.side import Side
from tests.integration.dual_write.conftest import mapped

def stop(*_):
    print("reached", flush=True)
    sys.stdin.read()

{patch}
made = replication.Replication("phase", sys.argv[1], sys.argv[2], [mapped("t", ("id",), "n")])
{act}
"""


def killed(pair: Pair, patch: str, act: str) -> None:
    code = textwrap.dedent(CHILD).format(patch=patch, act=act)
    child = subprocess.Popen(
        [sys.executable, "-c", code, pair.monolith.url, pair.service.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "reached\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_i2_a_relay_killed_before_its_commit_loses_and_doubles_nothing(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')", "DELETE FROM t WHERE id = 2")
    # By then rows and versions are written, and the position follows.
    killed(like_pair, "inbox.write = stop", "made.step(Side.SERVICE)")
    assert like_pair.rows(Side.SERVICE, "t") == []
    assert settle(replication) == 3
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 3


def test_i2_a_backfill_killed_in_its_second_chunk_goes_on_from_there(
    like_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    like_pair.define(T)
    like_pair.monolith.run(*(f"INSERT INTO t VALUES ({number}, 'x')" for number in range(25)))
    replication = like_pair.replication(MAPPING)
    replication.install()
    replication.open(Side.SERVICE, 1)
    small = """
from dual_write import postgresql_copy
backfill._CHUNK = postgresql_copy._CHUNK = 10
write = backfill.Backfill._write
def counted(self, session, table, checkpoint):
    if checkpoint.copied == 20:
        stop()
    write(self, session, table, checkpoint)
backfill.Backfill._write = counted
"""
    killed(like_pair, small, "made.backfill(lambda _: None, lambda: False)")
    assert len(like_pair.rows(Side.SERVICE, "t")) == 10
    assert not replication.backfilled()
    seen: list[int] = []
    assert replication.backfill(lambda progress: seen.append(progress.rows), lambda: False)
    assert seen == [25]
    assert replication.backfilled()
    like_pair.assert_equal("t")


def test_i2_a_relay_that_lost_the_race_drops_its_batch(like_pair: Pair) -> None:
    """It read the row before another relay applied a newer state of it."""
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    other = like_pair.replication(MAPPING)
    slow = _between_reading_and_writing(replication._channels[0])
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'old')")
    thread, go_on = slow(lambda: replication.step(Side.SERVICE))
    like_pair.monolith.run("UPDATE t SET n = 'new'")
    assert settle(other) == 2
    go_on.set()
    thread.join()
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 2


def test_i1_a_zombie_relay_of_an_older_epoch_is_fenced(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    zombie = like_pair.replication(MAPPING)
    slow = _between_reading_and_writing(zombie._channels[0])
    like_pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    failures: list[Exception] = []

    def step() -> None:
        try:
            zombie.step(Side.SERVICE)
        except FencedError as error:
            failures.append(error)

    thread, go_on = slow(step)
    switch(replication, Side.SERVICE, 2)
    like_pair.service.run("UPDATE t SET n = 'owned by the service'")
    go_on.set()
    thread.join()
    assert len(failures) == 1
    assert like_pair.service.query("SELECT n FROM t") == [("owned by the service",)]


def test_two_relays_at_once_carry_everything_once(like_pair: Pair) -> None:
    like_pair.define(T)
    replication = like_pair.started(MAPPING)
    stop = threading.Event()
    relays = [Relay(like_pair.replication(MAPPING), lambda: [Side.SERVICE]) for _ in range(2)]
    threads = [threading.Thread(target=relay.run, args=(stop,)) for relay in relays]
    for thread in threads:
        thread.start()
    for number in range(60):
        like_pair.monolith.run(
            f"INSERT INTO t VALUES ({number % 20}, '{number}') ON CONFLICT (id) DO UPDATE SET n = excluded.n"
        )
    assert replication.settle(Side.SERVICE, 20.0)
    stop.set()
    for thread in threads:
        thread.join()
    like_pair.assert_equal("t")
    accounts = replication.accounts(Side.SERVICE)
    assert accounts.captured == accounts.applied == 60


def test_a_relay_survives_the_absence_of_its_database(postgresql_pair: Pair) -> None:
    postgresql_pair.define(T)
    replication = postgresql_pair.started(MAPPING)
    relay = Relay(postgresql_pair.replication(MAPPING), lambda: [Side.SERVICE])
    stop = threading.Event()
    thread = threading.Thread(target=relay.run, args=(stop,))
    postgresql_pair.monolith.run("INSERT INTO t VALUES (1, 'a')")
    thread.start()
    assert replication.settle(Side.SERVICE, 10.0)
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    postgresql_pair.service.query(terminate)
    postgresql_pair.monolith.run("INSERT INTO t VALUES (2, 'b')")
    replication.dispose()
    assert replication.settle(Side.SERVICE, 10.0)
    stop.set()
    thread.join()
    postgresql_pair.assert_equal("t")


def _between_reading_and_writing(
    channel: Channel,
) -> Callable[[Callable[[], object]], tuple[threading.Thread, threading.Event]]:
    """Runs an act in a thread that waits, its batch read, before it opens the target's transaction."""
    reached, go_on = threading.Event(), threading.Event()
    writing = channel.target.writing

    def wait(lock_timeout: float = 5.0) -> AbstractContextManager[Session]:
        reached.set()
        go_on.wait(20)
        return writing(lock_timeout)

    channel.target.writing = wait  # type: ignore[method-assign] # the very place where a process may freeze

    def run(act: Callable[[], object]) -> tuple[threading.Thread, threading.Event]:
        thread = threading.Thread(target=act)
        thread.start()
        assert reached.wait(20)
        return thread, go_on

    return run
