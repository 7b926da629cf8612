"""The kinds of steps that a runbook may have, each with its own keys and with words of its own. Pure."""

import shlex
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, model_validator

from migration.plan_base import Section
from migration.runbook_words import Command, Duration, Fill, Percent, StepName, Text
from migration.stages import Stage


def _stage(value: object) -> Stage:
    known = {stage.value: stage for stage in _ADVANCES}
    if value not in known:
        raise ValueError(f"{value!r} is no stage to advance to. There are: {', '.join(known)}.")
    return known[str(value)]


class Step(Section):
    """One step. Its texts say what it is for, what one then sees, how it shows that it went wrong, and how
    to go back; a kind of step has texts of its own, which a runbook may replace."""

    kind: str
    name: StepName
    title: Text
    why: Text
    before: Text | None = None
    expect: Text
    trouble: Text
    back: Text

    texts: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _own_words(cls, value: object) -> object:
        return {**cls.texts, **value} if isinstance(value, dict) else value

    @property
    def to(self) -> Stage | None:
        """The stage that the phase is in once the step is done, where it moves the phase."""
        return None

    def command(self, fill: Fill) -> str:
        """What one would type to do the same by hand; ``fill`` puts values in place of their names."""
        raise NotImplementedError


class Doctor(Step):
    kind: Literal["doctor"]

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Can the plan run?",
        "why": "Finds missing keys, rights and columns before anything is touched.",
        "expect": "No line marked `fail`; exit code 0.",
        "trouble": "A `fail` names the table or the server, and what to change.",
        "back": "Nothing was changed.",
    }

    def command(self, fill: Fill) -> str:
        return fill("strangler doctor {phase}")


class Sync(Step):
    kind: Literal["sync"]

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Copy, and keep copying",
        "why": "Installs capture on both sides, guards the service's tables, and copies the rows there are.",
        "before": "`strangler relay` runs.",
        "expect": "Every table at 100 %; the stage is `dual_write`; changes waiting: {lag}.",
        "trouble": "A lag that only grows, or parked changes, in `strangler status`.",
        "back": "`strangler rollback {phase}` removes capture without a trace. An interrupted copy goes on "
        "where it was.",
    }

    @property
    def to(self) -> Stage:
        return Stage.DUAL_WRITE

    def command(self, fill: Fill) -> str:
        return fill("strangler sync {phase}")


class Check(Step):
    kind: Literal["check"]

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Prove that both sides hold the same rows",
        "why": "The gates of the next stage ask for a clean check that is not older than {max_check_age}.",
        "expect": "`clean`; exit code 0. The last one: {check}.",
        "trouble": "Findings, with table and key. `strangler check {phase} --repair` says how to mend them.",
        "back": "A check changes nothing.",
    }

    def command(self, fill: Fill) -> str:
        return fill("strangler check {phase}")


_ADVANCES: Mapping[Stage, Mapping[str, str]] = {
    Stage.DUAL_WRITE: {
        "title": "Install capture",
        "why": "From here on every change of the monolith is carried to the service.",
        "expect": "The stage is `dual_write`.",
        "trouble": "Tables that do not fit the plan: nothing is installed, and the error says what to do.",
        "back": "`strangler rollback {phase}` removes capture without a trace.",
    },
    Stage.SHADOW: {
        "title": "Mirror reads and compare the answers",
        "why": "The service answers copies of real reads; no user sees its answers.",
        "expect": "`strangler shadow {phase}` shows at least {min_match} of at least {min_samples} reads "
        "alike. Now: {match}.",
        "trouble": "Mismatches: the report names the endpoint and the field.",
        "back": "`strangler rollback {phase}`",
    },
    Stage.RAMP: {
        "title": "Open the ramp",
        "why": "From here on a share of the reads is answered by the service, still 0 %.",
        "expect": "The stage is `ramp`; nothing else changes yet.",
        "trouble": "A closed gate says why, and what would open it.",
        "back": "`strangler rollback {phase}`",
    },
    Stage.LIVE: {
        "title": "Move the writes",
        "why": "One fenced switch: writes wait for a moment, then go to the service; changes now flow back.",
        "expect": "`live`; writes waited for less than {hold}; no request failed.",
        "trouble": "A switch that could not finish is cancelled by itself, and says at which step.",
        "back": "`strangler rollback {phase}`: what was written meanwhile is already in the monolith.",
    },
}


class Advance(Step):
    kind: Literal["advance"]
    stage: Annotated[Stage, BeforeValidator(_stage)]

    @model_validator(mode="before")
    @classmethod
    def _words_of_the_stage(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        known = {stage.value: texts for stage, texts in _ADVANCES.items()}
        return {**known.get(str(value.get("stage")), _ADVANCES[Stage.RAMP]), **value}

    @property
    def to(self) -> Stage:
        return self.stage

    def command(self, fill: Fill) -> str:
        return fill(f"strangler advance {{phase}}  # → {self.stage}")


class Ramp(Step):
    kind: Literal["ramp"]
    reads: Percent | None = None
    writes: Percent | None = None

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Raise the share",
        "why": "Whoever is on the service stays there as the share grows; a read that it fails falls back.",
        "before": "Now on the service: reads {reads}, writes {writes}.",
        "expect": "Errors and latency of each side, in `/-/metrics` on the admin port, stay where they were.",
        "trouble": "Fallbacks, or slower reads on the service's side.",
        "back": "`strangler ramp {phase} --reads 0`, or `strangler flags kill {phase}`",
    }

    @model_validator(mode="after")
    def _some_share(self) -> Self:
        if self.reads is None and self.writes is None:
            raise ValueError("the step ramps nothing. Give it `reads`, `writes` or both, in percent.")
        return self

    def command(self, fill: Fill) -> str:
        shares = (("reads", self.reads), ("writes", self.writes))
        said = " ".join(f"--{kind} {share:g}" for kind, share in shares if share is not None)
        return fill(f"strangler ramp {{phase}} {said}")


class Soak(Step):
    kind: Literal["soak"]
    lasts: Duration

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Let it run",
        "why": "What is rare shows only with time and traffic.",
        "expect": "Stage and shares stay as they are; so do errors and latency.",
        "trouble": "The phase was taken back meanwhile: `strangler audit list` says by whom, and why.",
        "back": "Nothing was changed.",
    }

    def command(self, fill: Fill) -> str:
        return fill("strangler status --watch")


class Confirm(Step):
    """What a person does and confirms. The texts are the runbook's."""

    kind: Literal["confirm"]

    texts: ClassVar[Mapping[str, str]] = {"trouble": "Whoever is asked says no: stop here."}

    def command(self, fill: Fill) -> str:
        return fill(f"strangler runbook {{phase}} --run --confirm {self.name}")


class Run(Step):
    """Commands of the team's own, each as a list of words, run without a shell.

    ``verify`` exits with 0 when what ``do`` brings about is there, with 1 when nothing of it is, and with
    anything else when it cannot tell. ``undo`` may be run twice. Each may take ``timeout``.
    """

    kind: Literal["run"]
    precheck: Command | None = None
    do: Command
    verify: Command
    undo: Command
    timeout: Duration = 600.0

    texts: ClassVar[Mapping[str, str]] = {
        "expect": "Exit code 0, and then 0 from what verifies it.",
        "trouble": "Any other exit code. What was begun is then taken back.",
    }

    @model_validator(mode="before")
    @classmethod
    def _undo_in_words(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("undo"), list):
            return {"back": f"`{' '.join(str(word) for word in value['undo'])}`", **value}
        return value

    def command(self, fill: Fill) -> str:
        return shlex.join(fill(word) for word in self.do)


class Complete(Step):
    kind: Literal["complete"]

    texts: ClassVar[Mapping[str, str]] = {
        "title": "Let go",
        "why": "Ends the way back: replication stops and the monolith's tables stay guarded.",
        "expect": "`complete`. What is not used any more in the monolith is listed.",
        "trouble": "Whatever still writes to the monolith's tables is refused, with the owner's name.",
        "back": "None. Restore from the service if you must.",
    }

    @property
    def to(self) -> Stage:
        return Stage.COMPLETE

    def command(self, fill: Fill) -> str:
        return fill("strangler complete {phase}")


KINDS: Mapping[str, type[Step]] = {
    "doctor": Doctor,
    "sync": Sync,
    "check": Check,
    "advance": Advance,
    "ramp": Ramp,
    "soak": Soak,
    "confirm": Confirm,
    "run": Run,
    "complete": Complete,
}
