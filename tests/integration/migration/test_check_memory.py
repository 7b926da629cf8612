"""A check whose process is killed is gone on with by the next, and comes to the same verdict."""

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dual_write import check_walk
from dual_write.check import FULL_SPEED
from migration.checking import CheckReport, check_phase
from migration.observations import Observations
from migration.plan import Plan
from migration.wiring import Wiring

ROWS = 60_000
DIFFERENT = {7, 20_011, 59_999}
PLAN = """
[monolith]
url = "http://127.0.0.1:1"
database = "{monolith}"

[[phases]]
name = "orders"
[phases.service]
url = "http://127.0.0.1:2"
database = "{service}"
[[phases.tables]]
monolith = "orders"
"""
TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)"
FILL = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
    "INSERT INTO orders SELECT i, 'note ' || i FROM n"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Both sides hold the same orders but for three, with a capture that thinks all is well."""
    for side in ("monolith", "service"):
        execute(tmp_path, side, TABLE)
    execute(tmp_path, "monolith", FILL.format(rows=ROWS))
    urls = {side: f"sqlite:///{side}.db" for side in ("monolith", "service")}
    (tmp_path / "strangler.toml").write_text(PLAN.format(**urls))
    with closing(wired(tmp_path)) as wiring:
        wiring.controller.sync("orders", lambda _: None, lambda: False)
    return tmp_path


def wired(directory: Path) -> Wiring:
    return Wiring(Plan.load(directory / "strangler.toml"))


def execute(directory: Path, side: str, *statements: str) -> None:
    with closing(sqlite3.connect(directory / f"{side}.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def corrupt(directory: Path) -> None:
    """Past the guard, as only somebody who marks his writes as replicated can."""
    keys = ", ".join(map(str, DIFFERENT))
    execute(
        directory,
        "service",
        "INSERT INTO strangler_session (origin) VALUES ('test')",
        f"UPDATE orders SET note = 'changed' WHERE id IN ({keys})",
        "DELETE FROM strangler_session",
    )


def check_and_die(directory: Path, rows: int) -> None:
    """Check as the command does, and get killed once so many rows are compared. Never returns."""

    def progress(_: str, compared: int, __: int) -> None:
        if compared >= rows:
            os.kill(os.getpid(), signal.SIGKILL)

    # Each chunk is kept, however quick the machine is; this process is the test's own.
    check_walk._KEEP_SECONDS = 0.0
    check_phase(wired(directory), "orders", progress=progress, manners=FULL_SPEED)


def killed_at(directory: Path, rows: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=check_and_die, args=(directory, rows))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def check(directory: Path, *, fresh: bool = False) -> tuple[CheckReport, list[int]]:
    """The report, and the rows as they were counted on the way."""
    seen: list[int] = []
    progress: Callable[[str, int, int], None] = lambda _, rows, __: seen.append(rows)  # noqa: E731
    with closing(wired(directory)) as wiring:
        return check_phase(wiring, "orders", progress=progress, fresh=fresh, manners=FULL_SPEED), seen


def test_it_goes_on_where_it_was_killed_and_finds_the_same(directory: Path) -> None:
    corrupt(directory)
    killed_at(directory, 40_000)
    report, seen = check(directory)
    assert seen[0] > 20_000, "it began anew"
    assert report.rows == ROWS
    assert {finding.key[0] for finding in report.findings} == DIFFERENT
    again, seen = check(directory)
    assert seen[0] < 20_000, "a check that ended is not gone on with"
    assert {finding.key[0] for finding in again.findings} == DIFFERENT


def test_what_was_found_before_and_mended_since_is_no_finding(directory: Path) -> None:
    corrupt(directory)
    killed_at(directory, 40_000)
    execute(
        directory,
        "service",
        "INSERT INTO strangler_session (origin) VALUES ('test')",
        "UPDATE orders SET note = 'note ' || id",
        "DELETE FROM strangler_session",
    )
    report, seen = check(directory)
    assert seen[0] > 20_000
    assert report.clean
    assert report.rows == ROWS


def test_the_verdict_is_as_old_as_its_beginning(directory: Path) -> None:
    with closing(wired(directory)) as wiring, wiring.control.read() as connection:
        before = wiring.control.now(connection)
    killed_at(directory, 40_000)
    with closing(wired(directory)) as wiring, wiring.control.read() as connection:
        killed = wiring.control.now(connection)
    check(directory)
    with closing(wired(directory)) as wiring:
        last = Observations(wiring.control).last_check("orders")
    assert last is not None
    assert before <= last[0].started <= killed


def test_it_can_be_begun_anew(directory: Path) -> None:
    killed_at(directory, 40_000)
    report, seen = check(directory, fresh=True)
    assert seen[0] < 20_000
    assert report.clean
