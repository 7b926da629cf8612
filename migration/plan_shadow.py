"""The sections of the plan about the shadow: what is mirrored, how answers are compared, what is kept."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from facade.compare import HEADERS, Rules
from facade.compare_rules import Rule, RuleKind
from migration import plan_syntax
from migration.plan_base import Name, Seconds, Section, as_text


def _path(path: str) -> str:
    return Rule(RuleKind.IGNORE, path).path


def _argument(kind: RuleKind) -> Callable[[str], str]:
    return lambda argument: Rule(kind, "$", argument).argument


JsonPath = Annotated[str, AfterValidator(_path)]
Tolerance = Annotated[str, BeforeValidator(as_text), AfterValidator(_argument(RuleKind.TOLERANCE))]
Shape = Annotated[str, AfterValidator(_argument(RuleKind.SHAPE))]


class Excuses(Section):
    """What two answers may differ in, each by JSONPath."""

    ignore: tuple[JsonPath, ...] = ()
    tolerance: dict[JsonPath, Tolerance] = Field(default_factory=dict)
    shape: dict[JsonPath, Shape] = Field(default_factory=dict)
    unordered: tuple[JsonPath, ...] = ()
    keyed: dict[JsonPath, Name] = Field(default_factory=dict)
    superset: tuple[JsonPath, ...] = ()
    subset: tuple[JsonPath, ...] = ()
    null_as_absent: tuple[JsonPath, ...] = ()
    null_for_absent: tuple[JsonPath, ...] = ()
    absent_for_null: tuple[JsonPath, ...] = ()
    number_form: tuple[JsonPath, ...] = ()
    unicode_form: tuple[JsonPath, ...] = ()

    def excuses(self) -> tuple[Rule, ...]:
        """The same as the facade takes it."""
        return tuple(
            Rule(kind, path, said[path] if isinstance(said, dict) else "")
            for kind in RuleKind
            for said in (getattr(self, kind),)
            for path in said
        )


class Keep(Section):
    """How long shadow counts and samples are kept, in days; how many samples of each kind of difference on
    each route, and of the phase."""

    days: float = Field(default=30.0, gt=0, le=3660)
    samples: int = Field(default=10, ge=1, le=1000)
    most_samples: int = Field(default=1000, ge=1, le=100_000)


class ShadowRoute(Excuses):
    """What holds on one route besides. With ``mirror`` its writes and requests with a body cast a shadow too;
    ``group_by`` says what in a request its group is, as a routing key does."""

    mirror: bool = False
    group_by: Annotated[str, AfterValidator(plan_syntax.routing_key)] | None = None

    @model_validator(mode="after")
    def _body_is_mirrored(self) -> Self:
        if self.group_by is not None and self.group_by.startswith("body:") and not self.mirror:
            raise ValueError("`group_by` a body needs `mirror = true`: bodies are only read where they are.")
        return self


class Shadow(Excuses):
    """How shadow answers are compared; ``timeout`` in seconds. ``routes`` adds to it, by the route's name.

    ``sample`` is what the share is drawn by; ``at_least`` so many requests a minute are taken of each route.
    """

    headers: tuple[Name, ...] = HEADERS
    timeout: Seconds = 2.0
    sample: Literal["request", "key"] = "request"
    at_least: float = Field(default=0.0, ge=0, le=6000)
    routes: dict[Name, ShadowRoute] = Field(default_factory=dict)
    keep: Keep = Keep()

    def rules(self) -> Rules:
        """What the facade compares by."""
        routes = {name: route.excuses() for name, route in self.routes.items()}
        return Rules(headers=self.headers, rules=self.excuses(), routes=routes)
