"""Mending what a check found: planned first, and carried out only when asked."""

import time
from pathlib import Path
from typing import Any

from dual_write.errors import RepairRefused
from dual_write.parking import Parked
from dual_write.repair import apply_repair, plan_repair
from flags.side import Side
from migration import refusals
from migration.actor import this_actor
from migration.checking import CheckReport, flows_of
from migration.wiring import Wiring


def repair_phase(
    wiring: Wiring, report: CheckReport, *, apply: bool, max_deletes: int, scripts: bool = False
) -> dict[str, Any]:
    """Plan the repair of every finding, towards the side that follows, and with ``apply`` carry it out.

    Returns ``statements`` (texts without the rows' values), ``deletes``, ``applied``, ``skipped`` (their row
    had changed), ``failed`` (texts with the reason), ``scripts``: files of SQL with what is planned, if they
    are asked for, and ``undo``: files that take the repair back.
    Raises RepairRefused when more than ``max_deletes`` rows would be deleted, and while writes are split:
    no side follows then. Nothing is changed in either case.
    """
    record = wiring.control.phase(report.phase)
    if record.split:
        raise RepairRefused(refusals.no_side_follows(report.phase))
    mended: dict[str, Any] = {
        "statements": [],
        "deletes": 0,
        "applied": 0,
        "skipped": 0,
        "failed": [],
        "scripts": [],
        "undo": [],
    }
    with wiring.replicating(report.phase) as replication:
        flows = flows_of(replication.mappings, record)
    for to, result in report.results:
        with wiring.engines(report.phase, to) as (source, target):
            plan = plan_repair(
                source, target, flows[to], result.findings, max_deletes=max_deletes - mended["deletes"]
            )
            mended["statements"] += [str(statement) for statement in plan.statements]
            mended["deletes"] += plan.deletes
            name = f"{report.phase}-{to}"
            if scripts and plan.statements:
                mended["scripts"].append(str(_keep(wiring, f"{name}-repair", plan.script())))
            if not apply or not plan.statements:
                continue
            mended["undo"].append(str(_keep(wiring, f"{name}-undo", plan.undo())))
            outcome = apply_repair(target, flows[to], plan)
            mended["applied"] += len(outcome.applied)
            mended["skipped"] += len(outcome.skipped)
            mended["failed"] += [f"{failure.statement}: {failure.reason}" for failure in outcome.failed]
    return mended


def keep_side(wiring: Wiring, phase: str, side: Side) -> list[Parked]:
    """Let ``side``'s rows stay where both sides changed one; what the other side had changed is given up.

    Returns the keys that this settled. They become equal as replication goes on.
    Raises RepairRefused unless writes are split.
    """
    record = wiring.control.phase(phase)
    if not record.split:
        raise RepairRefused(refusals.no_conflict_possible(record))
    with wiring.replicating(phase) as replication, wiring.control.change() as change:
        given_up = replication.keep(side)
        settled = [f"{entry.table} {entry.key}" for entry in given_up]
        actor = this_actor()
        wiring.control.audit(
            change.connection, actor, f"conflicts of {phase}: kept {side}", {}, {"rows": settled}
        )
    return given_up


def _keep(wiring: Wiring, name: str, script: str) -> Path:
    """Written before anything is changed; it holds rows' values, so only the owner may read it."""
    directory = wiring.state_directory / "repairs"
    directory.mkdir(mode=0o700, exist_ok=True)
    stamp, taken = time.strftime("%Y%m%dT%H%M%S"), len(list(directory.glob("*.sql")))
    file = directory / f"{stamp}-{taken}-{name}.sql"
    file.touch(mode=0o600)
    file.write_text(script, encoding="utf-8")
    return file
