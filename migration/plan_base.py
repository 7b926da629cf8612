"""What the sections of the plan are made of."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from migration import plan_syntax

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
DatabaseUrl = Annotated[str, AfterValidator(plan_syntax.database)]
Address = Annotated[str, AfterValidator(plan_syntax.address)]
Network = Annotated[str, AfterValidator(plan_syntax.network)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def as_text(value: Any) -> Any:
    """TOML has numbers for what needs no unit."""
    return str(value) if isinstance(value, int | float) else value
