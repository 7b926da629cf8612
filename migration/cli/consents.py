"""``strangler approve`` and ``strangler confirm``: what people say about a step before somebody takes it."""

from enum import StrEnum
from typing import Annotated, Literal

import typer

from flags.percent import FULL, parse_percent
from migration.actor import this_actor
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.consents import Consent, Consents
from migration.errors import StageError
from migration.gate_facts import Step
from migration.gates_of_people import span
from migration.stages import Stage
from migration.wiring import Wiring


class StepName(StrEnum):
    """What can be asked for, as in [phases.gates]."""

    SHADOW = "shadow"
    RAMP = "ramp"
    READS = "reads"
    WRITES = "writes"
    LIVE = "live"
    COMPLETE = "complete"


StepArgument = Annotated[
    StepName, typer.Argument(metavar="STEP", help="shadow, ramp, reads, writes, live or complete.")
]
Note = Annotated[str, typer.Option(help="A word on why, for the audit log.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("approve")(approve)
    app.command("confirm")(confirm)


def approve(
    phase: PhaseName,
    step: StepArgument,
    percent: Annotated[
        str | None, typer.Argument(help="Up to which share, for reads and writes.", show_default=False)
    ] = None,
    note: Note = "",
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Agree to a step that somebody else takes. Holds for this plan, for this stage, and for a while."""
    with opened(plan) as wiring:
        asked = _step(wiring, step, percent)
        consent = Consents(wiring.control, wiring.plan).approve(phase, asked, this_actor(), note)
    _report(consent, json=json)


def confirm(
    phase: PhaseName,
    step: StepArgument,
    point: Annotated[str, typer.Argument(help="The point, in the plan's words.", show_default=False)],
    note: Note = "",
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Say that a point of the plan was looked at, and is so."""
    with opened(plan) as wiring:
        share = FULL if step in {StepName.READS, StepName.WRITES} else None
        asked = Step(_to(step), share)
        consent = Consents(wiring.control, wiring.plan).confirm(phase, asked, point, this_actor(), note)
    _report(consent, json=json)


def _step(wiring: Wiring, step: StepName, percent: str | None) -> Step:
    of_share = step in {StepName.READS, StepName.WRITES}
    if of_share is (percent is None):
        told = (
            "goes with a percentage: up to which share?" if of_share else "is a stage, and takes no number."
        )
        raise StageError(f"{step} {told} Write `strangler approve PHASE reads 25`, or `approve PHASE live`.")
    share = None if percent is None else parse_percent(percent, wiring.plan.flags.precision)
    return Step(_to(step), share)


def _to(step: StepName) -> Stage | Literal["reads", "writes"]:
    match step:
        case StepName.READS:
            return "reads"
        case StepName.WRITES:
            return "writes"
        case _:
            return Stage(step.value)


def _report(consent: Consent, *, json: bool) -> None:
    if json:
        print_json(consent)
        return
    what = f": {consent.point}" if consent.point else ""
    lasts = span(consent.expires_at - consent.at)
    out.print(f"{consent.phase}: {consent.kind} of {consent.step} by {consent.who}{what}", markup=False)
    out.print(f"It counts for {lasts}, while plan and stage stay as they are.")
