"""Walking a phase's runbook on what the plan says: where the parts of a walk are put together."""

from collections.abc import Mapping, Sequence

from migration.actor import this_actor
from migration.errors import MigrationError
from migration.plan import Plan
from migration.runbook import Runbook, load, locate, templates
from migration.runbook_values import filler
from migration.stages import Stage
from migration.status import PhaseStatus, read_status
from migration.walk import Ask, Outlook, Tell, Walk, outlook
from migration.walk_acts import acts
from migration.walk_desk import Desk
from migration.walk_journal import WalkJournal, states
from migration.walk_states import State
from migration.wiring import Wiring


def runbook_of(plan: Plan, phase: str) -> Runbook:
    """The phase's runbook. Raises PlanError when it is not valid, MigrationError when it is gone."""
    name = plan.phase(phase).runbook
    file = locate(name, plan.directory)
    if file is None:
        raise MigrationError(
            f"there is no runbook {name!r} in {plan.directory}. Built in: {', '.join(templates())}."
        )
    return load(file)


def status_of(wiring: Wiring, phase: str) -> PhaseStatus:
    """Where the phase stands."""
    wiring.plan.phase(phase)
    with wiring.replicating(phase) as replication:
        phases = read_status(wiring.plan, wiring.control, {phase: replication}).phases
    return next(each for each in phases if each.name == phase)


def known_states(wiring: Wiring, status: PhaseStatus) -> Mapping[str, State]:
    """What the unfinished walk has come to; nothing when there is none."""
    walk = status.walk
    return {} if walk is None or walk.outcome is not None else states(wiring.control, walk.walk)


def look_ahead(wiring: Wiring, phase: str) -> Sequence[Outlook]:
    """What a run would do now. Nothing is changed; the next step's precheck is asked."""
    runbook, status = runbook_of(wiring.plan, phase), status_of(wiring, phase)
    desk = Desk(wiring, phase, filler(wiring.plan, status), lambda _: None, patience=0)
    return list(outlook(runbook, known_states(wiring, status), acts(desk), status.stage))


def walk_phase(
    wiring: Wiring,
    phase: str,
    *,
    tell: Tell,
    ask: Ask | None,
    patience: float,
    confirmed: str | None = None,
) -> None:
    """Walk on to the end of the runbook. A closed gate is waited for, ``patience`` seconds at most.

    Raises as `Walk.go`.
    """
    runbook = runbook_of(wiring.plan, phase)

    def fill(text: str) -> str:
        """With the values of that moment."""
        return filler(wiring.plan, status_of(wiring, phase))(text) if "{" in text else text

    with WalkJournal.opened(wiring.control, phase, runbook.name, this_actor()) as journal:
        desk = Desk(wiring, phase, fill, tell, patience, journal)

        def stage() -> Stage:
            return desk.record.stage

        Walk(runbook, journal, acts(desk), stage, tell=tell, ask=ask).go(confirmed)
