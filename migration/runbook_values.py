"""The values of a phase as it stands, by the names under which a runbook may speak of them. Pure."""

from collections.abc import Mapping

from flags.percent import FULL, format_percent
from flags.side import Side
from migration.gates_of_people import span
from migration.plan import Phase, Plan
from migration.runbook_words import Fill
from migration.status import PhaseStatus


def values(plan: Plan, status: PhaseStatus) -> Mapping[str, str]:
    """Each of `migration.runbook_words.PLACEHOLDERS`."""
    phase = plan.phase(status.name)
    return {
        "phase": phase.name,
        "stage": status.stage,
        "plan": plan.file.name,
        "monolith_url": ", ".join(plan.monolith.urls),
        "service_url": ", ".join(phase.service.urls),
        "routes": ", ".join(f"`{route.name}`" for route in phase.routes) or "none",
        "tables": ", ".join(f"`{table.monolith}`" for table in phase.tables) or "none",
        "writer": f"{status.writer} (epoch {status.epoch})",
        "reads": f"{format_percent(status.shares['reads'])} %",
        "writes": f"{format_percent(_writes(status))} %",
        "lag": lag(status),
        "max_lag": span(phase.gates.max_lag_seconds),
        "match": match(status),
        "min_match": f"{phase.gates.min_match_rate:.2%}",
        "min_samples": str(phase.gates.min_samples),
        "check": check(status),
        "max_check_age": span(phase.gates.max_check_age_seconds),
        "hold": span(plan.facade.timeouts.hold),
    }


def filler(plan: Plan, status: PhaseStatus) -> Fill:
    """Puts the values in place of their names."""
    known = values(plan, status)
    return lambda text: text.format_map(known)


def facts(plan: Plan, status: PhaseStatus) -> list[tuple[str, str]]:
    """What one wants to know first, as label and value."""
    known = values(plan, status)
    phase = plan.phase(status.name)
    return [
        ("writer", known["writer"]),
        ("reads to the service", known["reads"]),
        *([("writes to the service", f"those of {known['writes']} of the routing keys")] * status.split),
        ("changes waiting", known["lag"]),
        ("shadow match rate", known["match"]),
        ("last check", known["check"]),
        ("limits", _limits(phase)),
    ]


def lag(status: PhaseStatus) -> str:
    return (
        ", ".join(
            f"{beat.lag.changes} on their way to the {beat.to}, the oldest {beat.lag.seconds:.1f} s old"
            for beat in status.replication
        )
        or "none known of"
    )


def match(status: PhaseStatus) -> str:
    if status.match.rate is None:
        return "no reads compared yet"
    return f"{status.match.rate:.2%} of {status.match.compared} reads"


def check(status: PhaseStatus) -> str:
    if status.check is None or status.check_age_seconds is None:
        return "none yet"
    verdict = "clean" if status.check.clean else f"{status.check.findings} findings"
    return f"{verdict} over {status.check.rows} rows, {span(status.check_age_seconds)} ago"


def _writes(status: PhaseStatus) -> int:
    if status.split:
        return status.shares["writes"]
    return FULL if status.writer is Side.SERVICE else 0


def _limits(phase: Phase) -> str:
    gates = phase.gates
    return (
        f"lag {span(gates.max_lag_seconds)}, match rate {gates.min_match_rate:.2%} of at least "
        f"{gates.min_samples} reads, check not older than {span(gates.max_check_age_seconds)}"
    )
