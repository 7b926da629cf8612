"""The section of the plan that says where the flags are kept, and in which steps they move."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

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
