"""The runbook of a phase as it stands today: its steps filled with live values."""

from typing import Any

from flags.percent import format_percent
from migration.runbook import lines, render
from migration.status import PhaseStatus, read_status
from migration.wiring import Wiring


def page(wiring: Wiring, phase: str) -> tuple[str, dict[str, Any]]:
    """The Markdown, and the same as plain values. Raises MigrationError for an unknown phase."""
    with wiring.replicating(phase) as replication:
        phases = read_status(wiring.plan, wiring.control, {phase: replication}).phases
    status = next(each for each in phases if each.name == phase)
    facts = _facts(status)
    gates = [(gate.name, gate.open, f"{gate.reason} {gate.remedy}".strip()) for gate in status.gates]
    document = {
        "phase": phase,
        "stage": status.stage,
        "facts": dict(facts),
        "gates": [{"name": name, "open": is_open, "reason": reason} for name, is_open, reason in gates],
        "steps": [
            {
                "title": line.step.title,
                "command": line.step.command.replace("{phase}", phase),
                "state": line.state,
            }
            for line in lines(status.stage)
        ],
    }
    return render(phase, status.stage, facts, gates), document


def _facts(status: PhaseStatus) -> list[tuple[str, str]]:
    facts = [
        ("writer", f"{status.writer} (epoch {status.epoch})"),
        ("reads to the service", f"{format_percent(status.shares['reads'])} %"),
    ]
    if status.split:
        share = format_percent(status.shares["writes"])
        facts.append(("writes to the service", f"those of {share} % of the routing keys"))
    facts += [
        (
            f"changes on their way to the {beat.to}",
            f"{beat.lag.changes}, the oldest {beat.lag.seconds:.1f} s old",
        )
        for beat in status.replication
    ]
    if status.match.rate is not None:
        facts.append(("shadow match rate", f"{status.match.rate:.2%} of {status.match.compared} reads"))
    if status.check is not None:
        verdict = "clean" if status.check.clean else f"{status.check.findings} findings"
        facts.append(
            ("last check", f"{verdict} over {status.check.rows} rows, {status.check_age_seconds:.0f} s ago")
        )
    return facts
