"""A run killed at every step boundary of every runbook: the next one goes on, and does nothing twice."""

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import select

from migration.control import Control
from migration.journal import FINISHED, Journal
from migration.plan import Plan
from migration.runbook import load, templates
from migration.runbook_steps import Ramp
from migration.schema.tables import audit, check_runs
from migration.stages import Stage
from migration.walk_journal import last_walk
from tests.integration.migration.walks import (
    ACTING,
    PHASE,
    answering,
    hurried,
    killed_everywhere,
    places,
    prepare,
)

COMMANDS = """
title = "Commands"
about = "Of the team's own."
[[steps]]
name = "pause"
kind = "run"
title = "Pause the jobs"
why = "They write."
do = ["sh", "-c", "echo paused {phase} >> done"]
verify = ["test", "-f", "done"]
undo = ["sh", "-c", "echo resumed >> done"]
[[steps]]
name = "doctor"
kind = "doctor"
"""


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The boundaries at which a run of some runbook was killed already."""
    return tmp_path_factory.mktemp("boundaries") / "places"


@pytest.mark.parametrize("runbook", [*templates(), "commands"])
def test_i7_a_run_killed_at_every_boundary_does_nothing_twice(
    tmp_path: Path, everywhere: Path, runbook
) -> None:
    with answering() as url:
        plan = prepare(tmp_path, url, COMMANDS if runbook == "commands" else hurried(runbook))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.integration.migration.walks"])
        process = context.Process(target=killed_everywhere, args=(plan, everywhere))
        process.start()
        process.join()
    assert process.exitcode == 0

    steps = load(tmp_path / "runbook.toml").steps
    seen = places(plan)
    for step in steps:
        what = "after do" if step.kind in ACTING else "checking, ready, written"
        assert f"{step.name}: {what}" in seen or step.kind == "confirm", step.name
    control = Control.open(Plan.load(plan).control.database_url)
    try:
        walk = last_walk(control, PHASE)
        assert walk is not None
        assert walk.outcome == "finished"
        if runbook == "commands":
            assert (tmp_path / "done").read_text() == f"paused {PHASE}\n"
            return
        assert control.phase(PHASE).stage is Stage.COMPLETE
        assert all(run.outcome == FINISHED for run in Journal(control).last(PHASE) if run.committed)
        with control.read() as connection:
            did = Counter(connection.scalars(select(audit.c.what)))
            changed = connection.scalars(select(audit.c.after)).all()
            checks = connection.execute(select(check_runs)).all()
    finally:
        control.close()
    assert len(checks) == sum(step.kind == "check" for step in steps)
    assert sum(number for what, number in did.items() if what.endswith("confirmed")) == sum(
        step.kind == "confirm" for step in steps
    )
    entered = Counter(after["stage"] for after in changed if "stage" in after)
    assert entered == {stage: 1 for stage in Stage if stage is not Stage.OFF}
    by_reads = [step for step in steps if isinstance(step, Ramp) and step.writes is None]
    assert did[f"ramp {PHASE}"] == len(by_reads)
