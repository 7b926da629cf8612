"""Who is in before any percentage, and who stays out whatever the percentage."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flags.context import Context
from flags.rule import Rule

Values = Mapping[str, frozenset[str]]
"""By the name of a property, the values that are meant."""


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Routing keys and values of properties that are in first, and those that are never in. Never wins."""

    first_keys: frozenset[str] = frozenset()
    never_keys: frozenset[str] = frozenset()
    first: Values = field(default_factory=dict)
    never: Values = field(default_factory=dict)

    def over(self, rule: Rule) -> Rule:
        """``rule`` for everybody else. A flag that is off lets nobody in, chosen or not."""
        if not rule.on:
            return rule

        # Read once: this is asked for every request.
        first_keys, never_keys = self.first_keys, self.never_keys
        first, never = tuple(self.first.items()), tuple(self.never.items())

        def met(context: Context) -> bool:
            key, said = context.user_id, context.properties
            if key in never_keys:
                return False
            for name, values in never:
                if said.get(name) in values:
                    return False
            if key in first_keys:
                return True
            for name, values in first:
                if said.get(name) in values:
                    return True
            if rule.rollouts is None:
                return rule.met(context)
            return rule.enabled(context.session_id if key is None else key)

        return Rule(rule.share, None, met=met, choose=rule.choose)
