"""All flags at one revision, compiled and immutable: what a worker evaluates with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flags.context import Context
from flags.document import Feature
from flags.rule import OFF, Rule, compile_features


@dataclass(frozen=True, slots=True)
class FlagSnapshot:
    """The rules by flag name, at a control revision. A flag that nobody set is off for everybody."""

    revision: int
    rules: Mapping[str, Rule]

    def enabled(self, name: str, key: str | None, context: Context | None = None) -> bool:
        """Whether ``key`` (the request's routing key, if it has one) is in.

        A flag that ``asks`` for more looks at the ``context``, whose user that key is.
        """
        rule = self.rules.get(name)
        if rule is None:
            return False
        return rule.enabled(key) if context is None else rule.met(context)

    def asks(self, name: str) -> bool:
        """Whether the flag looks at more than the routing key."""
        rule = self.rules.get(name)
        return rule is not None and rule.rollouts is None

    def share(self, name: str) -> int:
        """The share that the flag lets in, in ‱ (0..10000)."""
        return self.rules.get(name, OFF).share


def compile_snapshot(revision: int, features: Iterable[Feature]) -> FlagSnapshot:
    """Compile every feature. Raises FlagError when one cannot be evaluated exactly."""
    return FlagSnapshot(revision, compile_features(features))
