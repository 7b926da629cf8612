"""All flags at one revision, compiled and immutable: what a worker evaluates with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flags.cohort import Cohorts
from flags.context import Context
from flags.document import Feature
from flags.rule import OFF, Rule, compile_features


@dataclass(frozen=True, slots=True)
class FlagSnapshot:
    """The rules by flag name, at a control revision. A flag that nobody set is off for everybody.

    ``asking`` are the flags that look at more than the routing key.
    """

    revision: int
    rules: Mapping[str, Rule]
    asking: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        asking = frozenset(name for name, rule in self.rules.items() if rule.rollouts is None)
        object.__setattr__(self, "asking", asking)  # once, before anybody sees it

    def enabled(self, name: str, key: str | None, context: Context | None = None) -> bool:
        """Whether ``key`` (the request's routing key, if it has one) is in.

        One of the ``asking`` looks at the ``context``, whose user that key is.
        """
        return self.rule(name).enabled(key, context)

    def rule(self, name: str) -> Rule:
        """What the flag says, for those who ask it again and again."""
        return self.rules.get(name, OFF)

    def with_cohorts(self, cohorts: Mapping[str, Cohorts]) -> "FlagSnapshot":
        """The same, with the cohorts of the flags named."""
        chosen = {name: each.over(self.rules[name]) for name, each in cohorts.items() if name in self.rules}
        return FlagSnapshot(self.revision, {**self.rules, **chosen}) if chosen else self

    def share(self, name: str) -> int:
        """The share that the flag lets in, in ‱ (0..10000)."""
        return self.rule(name).share


def compile_snapshot(revision: int, features: Iterable[Feature]) -> FlagSnapshot:
    """Compile every feature. Raises FlagError when one cannot be evaluated exactly."""
    return FlagSnapshot(revision, compile_features(features))
