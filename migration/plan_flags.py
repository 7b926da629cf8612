"""The sections of the plan that say where flags are kept, in which steps they move, and who comes first."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from flags import cohort
from flags.percent import Precision
from migration import plan_syntax
from migration.plan_base import Name, Section


class Unleash(Section):
    """A real Unleash server; without this section the control database keeps the flags alone.

    ``token`` is a client token of the environment, ``admin_token`` one that may change the project's flags.
    """

    url: Annotated[str, AfterValidator(plan_syntax.web_address)]
    environment: Name
    project: Name = "default"
    token: SecretStr | None = Field(default=None, exclude=True)
    token_file: Path | None = None
    admin_token: SecretStr | None = Field(default=None, exclude=True)
    admin_token_file: Path | None = None

    @model_validator(mode="after")
    def _tokens(self) -> Self:
        for name in ("token", "admin_token"):
            if getattr(self, name) is None and getattr(self, f"{name}_file") is None:
                raise ValueError(
                    f"Unleash wants the {name.replace('_', ' ')}. Name a file that holds it with "
                    f"`{name}_file`, or set STRANGLER_FLAGS__UNLEASH__{name.upper()}."
                )
        return self


class Flags(Section):
    precision: Precision = Precision.PERCENT
    unleash: Unleash | None = None

    @model_validator(mode="after")
    def _whole_percents(self) -> Self:
        if self.unleash is not None and self.precision is not Precision.PERCENT:
            raise ValueError(
                "Unleash knows whole percents only. Leave out `precision`, or keep the flags here without "
                "`unleash`."
            )
        return self


def _property(text: str) -> str:
    """Where in a request a property is."""
    if plan_syntax.routing_key(text).startswith("body:"):
        raise ValueError(f"{text!r} would need the body, which no flag waits for. Take it from elsewhere.")
    return text


Values = dict[Name, tuple[Name, ...]]


class Cohorts(Section):
    """Who is answered by the service before any percentage, and who never is while the phase is in the ramp.

    ``allow`` and ``deny`` are routing keys. ``properties`` names what else requests say and where, for
    ``first`` and ``never`` here, and for the constraints of flags.
    """

    properties: dict[Name, Annotated[str, AfterValidator(_property)]] = Field(default_factory=dict)
    allow: tuple[Name, ...] = ()
    deny: tuple[Name, ...] = ()
    first: Values = Field(default_factory=dict)
    never: Values = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for said in (self.first, self.never):
            if strange := [name for name in said if name not in self.properties]:
                raise ValueError(
                    f"nobody says where {strange[0]!r} is in a request. Name it under `properties`, as in "
                    f'{strange[0]} = "header:X-{strange[0].title()}".'
                )
        if both := sorted(set(self.allow) & set(self.deny)):
            raise ValueError(f"{both[0]!r} is in `allow` and in `deny`. Take it out of one of them.")
        return self

    def cohorts(self) -> cohort.Cohorts:
        """The same as the flags take it."""
        return cohort.Cohorts(
            frozenset(self.allow),
            frozenset(self.deny),
            {name: frozenset(values) for name, values in self.first.items()},
            {name: frozenset(values) for name, values in self.never.items()},
        )
