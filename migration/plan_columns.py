"""What the plan says about a table's columns: what fills them, there and on the way back."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, model_validator

from migration import plan_syntax
from migration.plan_base import Name, Section


class Computed(Section):
    """A column that a function ``module:name`` makes of the values of others."""

    python: Annotated[str, AfterValidator(plan_syntax.function)] | None = None
    columns: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _function_and_arguments(self) -> Self:
        if (self.python is None) != (not self.columns):
            raise ValueError("`python` names a function, and `columns` what it is given. Say both.")
        return self


class ReverseRule(Computed):
    """What fills a column on the way back: an SQL expression, or a function's value."""

    sql: Name | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"sql": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.sql is None) == (self.python is None):
            raise ValueError("give exactly one of `sql` and `python`.")
        return self


class ColumnRule(Computed):
    """What fills a column: another (with a cast if need be), SQL, a constant, or a function's value."""

    column: Name | None = None
    cast: Name | None = None
    sql: Name | None = None
    value: str | int | float | bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(each is not None for each in (self.column, self.sql, self.value, self.python)) != 1:
            raise ValueError("give exactly one of `column`, `sql`, `value` and `python`.")
        if self.cast is not None and self.column is None:
            raise ValueError("`cast` goes with `column`. Write the cast into the expression instead.")
        return self
