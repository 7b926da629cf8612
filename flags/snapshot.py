"""All flags at one revision, compiled and immutable: what a worker evaluates with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flags.document import Feature
from flags.rollout import OFF, Rule, compile_feature


@dataclass(frozen=True, slots=True)
class FlagSnapshot:
    """The rules by flag name, at a control revision. A flag that nobody set is off for everybody."""

    revision: int
    rules: Mapping[str, Rule]

    def enabled(self, name: str, key: str | None) -> bool:
        """Whether ``key`` (the request's routing key, if it has one) is in."""
        return self.rule(name).enabled(key)

    def rule(self, name: str) -> Rule:
        """What the flag says, for those who ask it again and again."""
        return self.rules.get(name, OFF)

    def share(self, name: str) -> int:
        """The share that the flag lets in, in ‱ (0..10000)."""
        return self.rule(name).share


def compile_snapshot(revision: int, features: Iterable[Feature]) -> FlagSnapshot:
    """Compile every feature. Raises FlagError when one cannot be evaluated exactly."""
    return FlagSnapshot(revision, {feature.name: compile_feature(feature) for feature in features})
