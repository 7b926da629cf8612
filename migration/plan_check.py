"""The sections of the plan about what a check asks beyond the rows."""

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dual_write.errors import SchemaError
from dual_write.tolerance import Tolerance
from migration.plan_base import Name, Seconds, Section, as_text


def amount(text: str) -> str:
    """A tolerance, as it was written."""
    try:
        Tolerance.of(text)
    except SchemaError as error:
        raise ValueError(str(error)) from error
    return text


Amount = Annotated[str, BeforeValidator(as_text), AfterValidator(amount)]


Sql = Annotated[str, Field(min_length=1, max_length=10_000)]


class Invariant(Section):
    """SQL whose answer is the same on both sides, or is ``expect`` on each side that has a statement."""

    name: Name
    monolith: Sql | None = None
    service: Sql | None = None
    expect: str | int | float | bool | None = None

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        if self.monolith is None and self.service is None:
            raise ValueError("the invariant asks nobody. Give SQL for `monolith`, `service` or both.")
        if self.expect is None and None in (self.monolith, self.service):
            raise ValueError("one side alone has nothing to be compared with. Say what to `expect`.")
        return self


class Check(Section):
    """Checks that the relay makes by itself; seconds. ``share`` is the percentage of the time for which every
    check reads, unless it is told otherwise.
    """

    every: Seconds | None = None
    whole_every: Seconds = 86400.0
    share: int = Field(default=15, ge=1, le=100)
