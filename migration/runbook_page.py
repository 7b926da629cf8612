"""The runbook of a phase as it stands today: its steps filled with live values."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.runbook import Runbook
from migration.runbook_values import facts, filler
from migration.status import PhaseStatus
from migration.walk import Outlook, outlook
from migration.walking import known_states, runbook_of, status_of
from migration.wiring import Wiring


def page(wiring: Wiring, phase: str) -> tuple[str, dict[str, Any]]:
    """The Markdown, and the same as plain values. Raises MigrationError for an unknown phase."""
    runbook = runbook_of(wiring.plan, phase)
    status = status_of(wiring, phase)
    lines = list(outlook(runbook, known_states(wiring, status), None, status.stage))
    document = _document(wiring, runbook, status, lines)
    environment = Environment(
        loader=PackageLoader("migration", "runbooks"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown, not HTML
    )
    return environment.get_template("phase.md.j2").render(document), document


def _document(wiring: Wiring, runbook: Runbook, status: PhaseStatus, lines: list[Outlook]) -> dict[str, Any]:
    fill = filler(wiring.plan, status)
    walk = status.walk
    return {
        "phase": status.name,
        "stage": status.stage.value,
        "runbook": runbook.name,
        "title": runbook.title,
        "about": runbook.about,
        "walk": None
        if walk is None or walk.outcome is not None
        else {"step": walk.step, "state": walk.state, "alive": walk.alive, "reason": walk.reason},
        "facts": dict(facts(wiring.plan, status)),
        "gates": [
            {"name": gate.name, "open": gate.open, "reason": f"{gate.reason} {gate.remedy}".strip()}
            for gate in status.gates
        ],
        "next": status.next,
        "steps": [
            {
                "name": line.step.name,
                "title": fill(line.step.title),
                "kind": line.step.kind,
                "why": fill(line.step.why),
                "before": None if line.step.before is None else fill(line.step.before),
                "command": line.step.command(fill),
                "expect": fill(line.step.expect),
                "trouble": fill(line.step.trouble),
                "back": fill(line.step.back),
                "state": line.state,
            }
            for line in lines
        ],
    }
