"""The steps that take a phase through its stages: printed for people, walked by ``--run``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined

from migration.stages import ORDER, Stage


@dataclass(frozen=True, slots=True)
class RunbookStep:
    """One step: what to run, what one then sees, how it shows that it went wrong, how to go back.

    From the stage ``behind`` on, the step is behind us.
    """

    title: str
    command: str
    why: str
    expect: str
    trouble: str
    back: str
    behind: Stage


STEPS: tuple[RunbookStep, ...] = (
    RunbookStep(
        title="Can the plan run?",
        command="strangler doctor {phase}",
        why="Finds missing keys, rights and columns before anything is touched.",
        expect="No line marked `fail`; exit code 0.",
        trouble="A `fail` names the table or server and what to change.",
        back="Nothing was changed.",
        behind=Stage.DUAL_WRITE,
    ),
    RunbookStep(
        title="Copy and keep copying",
        command="strangler sync {phase}",
        why="Installs capture on both sides, guards the service's tables, and copies the rows there are.",
        expect="Every table at 100 %; the stage is `dual_write`; `strangler relay` keeps the lag near zero.",
        trouble="A lag that only grows, or parked changes, in `strangler status`.",
        back="`strangler rollback {phase}` removes capture without a trace.",
        behind=Stage.SHADOW,
    ),
    RunbookStep(
        title="Prove that both sides hold the same rows",
        command="strangler check {phase}",
        why="The gates of every later stage read the last check.",
        expect="`clean`; exit code 0.",
        trouble="Findings, with table and key. `strangler check {phase} --repair` says how to mend them.",
        back="A check changes nothing.",
        behind=Stage.SHADOW,
    ),
    RunbookStep(
        title="Mirror reads and compare the answers",
        command="strangler advance {phase}  # → shadow",
        why="The service answers copies of real reads; no user sees its answers.",
        expect="`strangler shadow {phase}` shows a match rate above the plan's limit, with enough samples.",
        trouble="Mismatches: the report names the endpoint and the field.",
        back="`strangler rollback {phase}`",
        behind=Stage.SHADOW,
    ),
    RunbookStep(
        title="Open the ramp",
        command="strangler advance {phase}  # → ramp",
        why="From here a share of the reads is answered by the service, still 0 %.",
        expect="The stage is `ramp`; nothing else changes yet.",
        trouble="A closed gate says why, and what would open it.",
        back="`strangler rollback {phase}`",
        behind=Stage.RAMP,
    ),
    RunbookStep(
        title="Raise the reads",
        command="strangler ramp {phase} --reads 10  # then 50, then 100",
        why="Whoever is on the service stays there as the share grows; a failed read falls back.",
        expect="Errors and latency per side, in `/-/metrics` on the admin port, stay where they were.",
        trouble="Fallbacks or slower reads on the service's side.",
        back="`strangler ramp {phase} --reads 0`, or `strangler flags kill {phase}`",
        behind=Stage.LIVE,
    ),
    RunbookStep(
        title="Move the writes",
        command="strangler advance {phase}  # → live",
        why="One fenced switch: writes wait for a moment, then go to the service; changes now flow back. "
        "Smaller steps, by routing key: `strangler ramp PHASE --writes 10` first.",
        expect="`live`; writes waited well under a second; no request failed.",
        trouble="A switch that could not finish is cancelled by itself, and says at which step.",
        back="`strangler rollback {phase}` – what was written meanwhile is already in the monolith.",
        behind=Stage.LIVE,
    ),
    RunbookStep(
        title="Let go",
        command="strangler complete {phase}",
        why="Ends the way back: replication stops and the monolith's tables stay guarded.",
        expect="`complete`. The phase's code and tables in the monolith are not used any more.",
        trouble="Whatever still writes to the monolith's tables is refused, with the owner's name.",
        back="None. Restore from the service if you must.",
        behind=Stage.COMPLETE,
    ),
)


@dataclass(frozen=True, slots=True)
class RunbookLine:
    """A step with its live state: ``done``, ``next`` or ``later``."""

    step: RunbookStep
    state: str


def lines(stage: Stage) -> Sequence[RunbookLine]:
    """The steps as they stand for a phase in ``stage``; the first that is not done is next."""
    done = sum(ORDER.index(step.behind) <= ORDER.index(stage) for step in STEPS)
    states = ["done"] * done + ["next"] + ["later"] * len(STEPS)
    return [RunbookLine(step, state) for step, state in zip(STEPS, states, strict=False)]


def _filled(text: str, *, phase: str) -> str:
    return text.replace("{phase}", phase)


def render(
    phase: str, stage: Stage, facts: Sequence[tuple[str, str]], gates: Sequence[tuple[str, bool, str]]
) -> str:
    """The runbook as Markdown. ``facts`` are label and value; ``gates`` are name, open, reason."""
    environment = Environment(
        loader=PackageLoader("migration", "runbooks"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - Markdown, not HTML
    )
    environment.filters["fill"] = partial(_filled, phase=phase)
    template = environment.get_template("phase.md.j2")
    return template.render(phase=phase, stage=stage.value, lines=lines(stage), facts=facts, gates=gates)
