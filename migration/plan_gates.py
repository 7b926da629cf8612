"""The sections of the plan about how a phase goes on: what must hold, by which steps, what takes it back."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from migration.plan_base import Name, Seconds, Section, Share

Period = Annotated[float, Field(gt=0, le=90 * 86_400)]
"""Seconds, up to 90 days."""
Soaked = Literal["dual_write", "shadow", "ramp", "live"]
Asked = Literal["shadow", "ramp", "reads", "writes", "live", "complete"]
"""What can be asked for: a stage to go to, or a greater share within the stage ramp."""


class Hook(Section):
    """A command or a web hook: asked ``before`` a step, or told ``after`` a stage is reached. ``command`` is
    a list of words, ``shell`` a line for the shell, ``url`` gets a POST. ``timeout`` in seconds."""

    name: Name
    before: Literal["shadow", "ramp", "writes", "live", "complete"] | None = None
    after: Literal["shadow", "ramp", "live", "complete"] | None = None
    command: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    shell: Annotated[str, Field(min_length=1)] | None = None
    url: Annotated[str, Field(pattern=r"^https?://[^@\s]+$")] | None = None
    token_file: Path | None = None
    timeout: Seconds = 10.0

    @model_validator(mode="after")
    def _decided(self) -> Self:
        if (self.before is None) == (self.after is None):
            raise ValueError("a hook is asked `before` a step, or told `after` a stage. Say one of them.")
        if [self.command, self.shell, self.url].count(None) != 2 or self.command == ():
            raise ValueError("a hook is a `command`, a line for the `shell`, or a `url`. Give one of them.")
        if self.token_file is not None and self.url is None:
            raise ValueError("a `token_file` goes with a `url`.")
        return self


class Gates(Section):
    """What must hold before a stage may advance: seconds, a share from 0 to 1, and counts.

    ``soak`` is how long a phase stays in a stage at least, ``approvals`` how many other people have to agree,
    ``confirm`` what somebody has to look at. What they say counts for ``consent_seconds``. For
    ``min_idle_days`` nothing may have reached the monolith before a phase is complete; with 0 nobody asks.
    """

    max_lag_seconds: Seconds = 5.0
    max_check_age_seconds: Seconds = 3600.0
    min_match_rate: Share = 0.99
    min_samples: int = Field(default=100, ge=0)
    min_reads: int = Field(default=0, ge=0)
    soak: dict[Soaked, Period] = Field(default_factory=dict)
    approvals: dict[Asked, Annotated[int, Field(ge=1, le=9)]] = Field(default_factory=dict)
    confirm: dict[Asked, tuple[Name, ...]] = Field(default_factory=dict)
    consent_seconds: Period = 86_400.0
    min_idle_days: float = Field(default=7.0, ge=0, le=366)
    hooks: tuple[Hook, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [hook.name for hook in self.hooks]
        if doubled := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two hooks are called {doubled[0]!r}. Give each a name of its own.")
        return self

    def approvals_before(self, step: str) -> int:
        """How many approvals a step takes."""
        return next((number for asked, number in self.approvals.items() if asked == step), 0)

    def points_before(self, step: str) -> tuple[str, ...]:
        """What has to be confirmed before a step."""
        return next((points for asked, points in self.confirm.items() if asked == step), ())


class Ramp(Section):
    """The steps by which reads go to the service by themselves: percentages, and seconds at each (one number
    for all, or one for each). A step is judged by ``min_samples`` reads of the service at least."""

    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = ()
    step_seconds: Period | tuple[Period, ...] = 600.0
    min_samples: int = Field(default=100, ge=1)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(one >= other for one, other in pairwise(self.steps)):
            raise ValueError("the steps have to rise, as in steps = [1, 5, 25, 50, 100].")
        if isinstance(self.step_seconds, tuple) and len(self.step_seconds) != len(self.steps):
            raise ValueError(
                f"there are {len(self.steps)} steps and {len(self.step_seconds)} `step_seconds`. "
                "Give one number for all steps, or one for each."
            )
        return self

    def seconds_at(self, number: int) -> float:
        """How long the step with this number (from 0) is stayed at."""
        return self.step_seconds[number] if isinstance(self.step_seconds, tuple) else self.step_seconds


class Guard(Section):
    """When reads are taken back by themselves, in the stages ramp and live.

    Shares from 0 to 1: ``max_error_rate`` of the service alone, ``max_error_excess`` above the monolith's.
    ``max_latency_ratio`` is how many times as slow as the monolith the service may be, ``min_latency_ms``
    what it may be slower in any case. ``false_alarms`` is how many there may be in a day, at the most, while
    nothing is wrong.
    """

    enabled: bool = True
    max_error_rate: Share = 0.02
    max_error_excess: Share = 0.01
    max_latency_ratio: float = Field(default=1.5, gt=1, le=100)
    min_latency_ms: float = Field(default=10.0, ge=0, le=60_000)
    false_alarms: float = Field(default=0.01, gt=0, le=1)
