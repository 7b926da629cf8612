"""The section of the plan about what must hold before a phase goes on."""

from typing import Annotated, Literal

from pydantic import Field

from migration.plan_base import Name, Seconds, Section, Share

Period = Annotated[float, Field(gt=0, le=90 * 86_400)]
"""Seconds, up to 90 days."""
Soaked = Literal["dual_write", "shadow", "ramp", "live"]
Asked = Literal["shadow", "ramp", "reads", "writes", "live", "complete"]
"""What can be asked for: a stage to go to, or a greater share within the stage ramp."""


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
    soak: dict[Soaked, Period] = Field(default_factory=dict)
    approvals: dict[Asked, Annotated[int, Field(ge=1, le=9)]] = Field(default_factory=dict)
    confirm: dict[Asked, tuple[Name, ...]] = Field(default_factory=dict)
    consent_seconds: Period = 86_400.0
    min_idle_days: float = Field(default=7.0, ge=0, le=366)

    def approvals_before(self, step: str) -> int:
        """How many approvals a step takes."""
        return next((number for asked, number in self.approvals.items() if asked == step), 0)

    def points_before(self, step: str) -> tuple[str, ...]:
        """What has to be confirmed before a step."""
        return next((points for asked, points in self.confirm.items() if asked == step), ())
