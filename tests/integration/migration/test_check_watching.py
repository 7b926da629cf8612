"""Checks of what changed, of a sample, and again and again: what each opens and finds."""

import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dual_write.check_sample import Sample
from migration.check_history import Scope, last_check, vouching
from migration.check_metrics import CheckMetrics
from migration.check_watching import Habit, scheduled, watch
from migration.checking import CheckReport, check_phase
from migration.control import Control
from migration.observations import CheckRun, Observations
from migration.plan import Plan
from migration.wiring import Wiring
from tests.integration.migration.test_check_memory import FILL, PLAN, TABLE, execute

ROWS = 2_000
PHASE = "orders"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for side in ("monolith", "service"):
        execute(tmp_path, side, TABLE)
    execute(tmp_path, "monolith", FILL.format(rows=ROWS))
    urls = {side: f"sqlite:///{side}.db" for side in ("monolith", "service")}
    plan = PLAN.format(**urls) + "[phases.check]\nevery = 0.1\nwhole_every = 3600\nshare = 100\n"
    (tmp_path / "strangler.toml").write_text(plan)
    return tmp_path


@pytest.fixture
def wiring(directory: Path):
    with closing(Wiring(Plan.load(directory / "strangler.toml"))) as wiring:
        wiring.controller.sync(PHASE, lambda _: None, lambda: False)
        yield wiring


def corrupt(directory: Path, statement: str) -> None:
    execute(
        directory,
        "service",
        "INSERT INTO strangler_session (origin) VALUES ('test')",
        statement,
        "DELETE FROM strangler_session",
    )


def test_only_what_changed_since_the_last_clean_check_is_compared(wiring: Wiring, directory: Path) -> None:
    assert check_phase(wiring, PHASE, since=True).scope is Scope.WHOLE, "there was none to begin at"
    execute(directory, "monolith", "UPDATE orders SET note = 'new' WHERE id <= 3")
    report = check_phase(wiring, PHASE, since=True)
    assert (report.scope, report.rows, report.clean) == (Scope.SINCE, 3, True)
    assert check_phase(wiring, PHASE, since=True).rows == 0

    execute(directory, "monolith", "UPDATE orders SET note = 'newer' WHERE id <= 3")
    with wiring.replicating(PHASE) as replication:
        replication.settle(wiring.control.phase(PHASE).writer.other, 10.0)
    corrupt(directory, "UPDATE orders SET note = 'wrong' WHERE id = 2")
    report = check_phase(wiring, PHASE, since=True)
    assert [finding.key for finding in report.findings] == [(2,)]
    report = check_phase(wiring, PHASE, since=True)
    assert report.scope is Scope.WHOLE, "after a check that was not clean"
    assert [finding.key for finding in report.findings] == [(2,)]


def test_a_check_of_some_rows_closes_gates_and_opens_none(wiring: Wiring, directory: Path) -> None:
    check_phase(wiring, PHASE, sample=Sample(1.0, 7))
    assert vouching(wiring.control, PHASE) is None
    check_phase(wiring, PHASE)
    check_phase(wiring, PHASE, since=True)
    vouches = vouching(wiring.control, PHASE)
    assert vouches is not None
    assert (vouches[0].clean, vouches[0].rows) == (True, ROWS)
    corrupt(directory, "UPDATE orders SET note = 'wrong' WHERE id = 2")
    check_phase(wiring, PHASE, sample=Sample(1.0, 7))
    vouches = vouching(wiring.control, PHASE)
    assert vouches is not None
    assert not vouches[0].clean


def test_a_later_sample_does_not_hide_what_was_found(wiring: Wiring, directory: Path) -> None:
    check_phase(wiring, PHASE)
    execute(directory, "monolith", "UPDATE orders SET note = 'newer' WHERE id <= 3")
    with wiring.replicating(PHASE) as replication:
        replication.settle(wiring.control.phase(PHASE).writer.other, 10.0)
    corrupt(directory, "UPDATE orders SET note = 'wrong' WHERE id = 2")
    assert not check_phase(wiring, PHASE, since=True).clean
    assert check_phase(wiring, PHASE, sample=Sample(0.0, 7)).clean
    vouches = vouching(wiring.control, PHASE)
    assert vouches is not None
    assert not vouches[0].clean
    assert check_phase(wiring, PHASE, since=True).scope is Scope.WHOLE


def test_ctrl_c_ends_a_watch_with_the_last_verdict(wiring: Wiring, directory: Path) -> None:
    check_phase(wiring, PHASE)
    command = [sys.executable, "-m", "migration.cli", "check", PHASE, "--watch", "--every", "0.1", "--json"]
    plan = ["--plan", str(directory / "strangler.toml")]
    with subprocess.Popen([*command, *plan], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 0


def test_a_sample_compares_the_ranges_of_its_seed(wiring: Wiring) -> None:
    report = check_phase(wiring, PHASE, sample=Sample(0.0, 7))
    assert report.rows == 0
    [(_, result)] = report.results
    assert result.covers.startswith("a sample of about 0.00% of the key ranges, by seed 7: 0 rows")
    assert check_phase(wiring, PHASE, sample=Sample(1.0, 7)).rows == ROWS


def test_it_checks_again_and_again_until_it_is_ended(wiring: Wiring, directory: Path) -> None:
    ending = threading.Event()
    reports: list[CheckReport] = []

    def told(said: CheckReport | Exception) -> None:
        assert isinstance(said, CheckReport)
        reports.append(said)
        if len(reports) == 2:
            execute(directory, "monolith", "UPDATE orders SET note = 'new' WHERE id = 3")
        if len(reports) == 4:
            ending.set()

    watch(wiring, PHASE, Habit(0.05, 3600.0), ending, told)
    assert [report.scope for report in reports] == ["whole", "since", "since", "since"]
    assert [report.rows for report in reports] == [ROWS, 0, 1, 0]


def test_the_relay_checks_as_the_plan_says(wiring: Wiring) -> None:
    ending = threading.Event()
    thread = scheduled(wiring, PHASE, ending)
    assert thread is not None
    thread.start()
    try:
        deadline = threading.Event()
        for _ in range(600):
            if last_check(wiring.control, PHASE, Scope.SINCE) is not None:
                break
            deadline.wait(0.05)
    finally:
        ending.set()
        thread.join()
    checked = Observations(wiring.control).last_check(PHASE, Scope.WHOLE)
    assert checked is not None
    assert checked[0].clean
    assert last_check(wiring.control, PHASE, Scope.SINCE) is not None


def test_metrics_tell_of_the_last_checks_and_of_all(wiring: Wiring, directory: Path) -> None:
    metrics = CheckMetrics(wiring.control, [PHASE, "another"])
    assert b"strangler_check_clean{" not in metrics.exposition()
    check_phase(wiring, PHASE)
    check_phase(wiring, PHASE, since=True, repaired=0)
    corrupt(directory, "UPDATE orders SET note = 'wrong' WHERE id < 3")
    check_phase(wiring, PHASE, repaired=5)
    told = metrics.exposition().decode()
    for line in (
        'strangler_check_clean{phase="orders",scope="whole"} 0.0',
        'strangler_check_findings{phase="orders",scope="whole"} 2.0',
        'strangler_check_rows{phase="orders",scope="whole"} 2000.0',
        'strangler_check_clean{phase="orders",scope="since"} 1.0',
        'strangler_checks_total{phase="orders"} 3.0',
        'strangler_checks_not_clean_total{phase="orders"} 1.0',
        'strangler_repaired_rows_total{phase="orders"} 5.0',
    ):
        assert line in told


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_history_is_read_from_either_control_database(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = (
        f"sqlite:///{tmp_path}/c.db"
        if engine == "sqlite"
        else request.getfixturevalue("postgresql_database")()
    )
    with closing(Control.open(url)) as control:
        for started, clean, detail in (
            (1.0, True, {}),
            (2.0, True, {"scope": "since", "repaired": 2}),
            (3.0, False, {"scope": "sample", "repaired": 3}),
        ):
            run = CheckRun(PHASE, clean, 10, int(not clean), "all", started, 0.1, detail)
            Observations(control).add_check(run)
        assert [last_check(control, PHASE, scope)[0].started for scope in Scope] == [1.0, 2.0, 3.0]
        assert vouching(control, PHASE)[0].started == 3.0
        told = CheckMetrics(control, [PHASE]).exposition().decode()
        assert 'strangler_repaired_rows_total{phase="orders"} 5.0' in told
