"""Asks the gates before a step: gathers the facts of the phase, and what people have said about the step."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from dual_write.replication import Replication
from migration.consents import Consents
from migration.control import Control
from migration.errors import GateClosed
from migration.facts import drift_of, gather, limits
from migration.gate_facts import GateVerdict, Step
from migration.gates import gates
from migration.gates_of_people import of_people
from migration.hooks import Hooks
from migration.plan import Plan
from migration.takebacks import Takebacks


class Gatekeeper:
    """The plan's gates, asked on behalf of ``actor``: whose own approval does not count."""

    def __init__(
        self, plan: Plan, control: Control, replication: Callable[[str], Replication], actor: str
    ) -> None:
        self._plan = plan
        self._control = control
        self._replication = replication
        self._consents = Consents(control, plan)
        self._hooks = Hooks(plan, control, actor)
        self._actor = actor

    def verdicts(self, phase: str, step: Step) -> list[GateVerdict]:
        """Every gate before the step, with its reason."""
        section = self._plan.phase(phase)
        consent = self._consents.fact(section, step, self._actor)
        if step.to == "reads":
            found = Takebacks(self._control).open(phase)
            return list(of_people(phase, consent, None if found is None else found.reason))
        replication = self._replication(phase)
        try:
            record = self._control.phase(phase)
            facts = gather(
                self._control, section, record, replication, drift_of(record, replication), consent
            )
        finally:
            replication.dispose()
        return gates(step, facts, limits(section))

    def reached(self, phase: str, step: Step) -> list[GateVerdict]:
        """Tell the plan's hooks that a stage is reached; those that could not be told."""
        told = self._hooks.tell(self._plan.phase(phase), step)
        return [verdict for verdict in told if not verdict.open]

    def require(self, phase: str, step: Step, waived: Mapping[str, str] = MappingProxyType({})) -> None:
        """The plan's hooks are asked last, once every other gate is open. Raises GateClosed.

        Gates that are ``waived`` may stay closed; the audit log keeps why.
        """
        found = [verdict for verdict in self.verdicts(phase, step) if not verdict.open]
        closed = [verdict for verdict in found if verdict.name not in waived]
        if not closed:
            asked = self._hooks.ask(self._plan.phase(phase), step)
            closed = [verdict for verdict in asked if not verdict.open]
        if closed:
            raise GateClosed(phase, step.goal, closed)
        with self._control.write() as connection:
            for verdict in found:
                what = f"gate {verdict.name} of {phase} before {step} waived"
                why = {"why": waived[verdict.name], "closed": verdict.reason}
                self._control.audit(connection, self._actor, what, {}, why)
