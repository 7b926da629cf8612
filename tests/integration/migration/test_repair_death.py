"""A repair whose process is killed is begun anew, comes to the same rows, and can be taken back whole."""

import json
import multiprocessing
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dual_write import repair
from migration.checking import check_phase
from migration.repairing import repair_phase
from tests.integration.migration.test_check_memory import PLAN, TABLE, execute, wired

ROWS = 900
DAMAGE = (
    "UPDATE orders SET note = 'changed' WHERE id % 2 = 0",
    "DELETE FROM orders WHERE id % 5 = 1",
    "INSERT INTO orders SELECT id + 10000, note FROM orders WHERE id < 50",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for side in ("monolith", "service"):
        execute(tmp_path, side, TABLE)
    rows = ", ".join(f"({number}, 'note {number}')" for number in range(ROWS))
    execute(tmp_path, "monolith", f"INSERT INTO orders VALUES {rows}")
    urls = {side: f"sqlite:///{side}.db" for side in ("monolith", "service")}
    (tmp_path / "strangler.toml").write_text(PLAN.format(**urls))
    with closing(wired(tmp_path)) as wiring:
        wiring.controller.sync("orders", lambda _: None, lambda: False)
    mark = "INSERT INTO strangler_session (origin) VALUES ('test')"
    execute(tmp_path, "service", mark, *DAMAGE, "DELETE FROM strangler_session")
    return tmp_path


def rows(directory: Path, side: str) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(directory / f"{side}.db")) as connection:
        return connection.execute("SELECT id, note FROM orders ORDER BY id").fetchall()


def mend(directory: Path) -> dict[str, object]:
    with closing(wired(directory)) as wiring:
        report = check_phase(wiring, "orders")
        return repair_phase(wiring, report, apply=True, max_deletes=100)


def mend_and_die(directory: Path, batches: int) -> None:
    """As the command does, and get killed within a batch, once so many are through. Never returns."""
    apply, done = repair._apply_batch, 0

    def dying(*arguments):
        nonlocal done
        if done == batches:
            # In the middle: the statements have run, and nothing is committed.
            class Dying(list):
                def __iter__(self):
                    yield from list.__iter__(self)
                    os.kill(os.getpid(), signal.SIGKILL)

            writer, batch, suppress = arguments
            arguments = writer, Dying(batch), suppress
        done += 1
        return apply(*arguments)

    repair._apply_batch = dying
    mend(directory)


@pytest.mark.parametrize("batches", [0, 2])
def test_a_repair_that_was_killed_is_begun_anew_and_can_be_taken_back(directory: Path, batches: int) -> None:
    damaged = rows(directory, "service")
    process = multiprocessing.get_context("spawn").Process(target=mend_and_die, args=(directory, batches))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    between = rows(directory, "service")
    assert (between == damaged) is (batches == 0)
    assert between != rows(directory, "monolith")

    second = mend(directory)
    assert rows(directory, "service") == rows(directory, "monolith")
    assert (second["skipped"], second["failed"]) == (0, [])
    assert mend(directory)["statements"] == [], "a second repair has nothing to do"

    scripts = sorted(
        (directory / ".strangler" / "repairs").glob("*.sql"), key=lambda file: file.stat().st_mtime_ns
    )
    assert len(scripts) == 2, json.dumps([file.name for file in scripts])
    for script in reversed(scripts):
        with closing(sqlite3.connect(directory / "service.db")) as connection:
            connection.executescript(script.read_text(encoding="utf-8"))
    assert rows(directory, "service") == damaged
