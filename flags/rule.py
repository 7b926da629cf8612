"""What a flag says, compiled from its document and ready to be asked."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mmh3 import hash as murmur3

from flags.constraints import Test
from flags.context import Context
from flags.document import Dependency, Feature, Variant
from flags.errors import FlagError
from flags.percent import FULL
from flags.rollout import Rollout
from flags.strategy import compile_strategy
from flags.variant import Choose, compile_variants, nothing


@dataclass(frozen=True, slots=True)
class Rule:
    """One flag. ``share`` (‱) is the widest that it lets in of those that no list or constraint speaks of.

    ``rollouts`` are alternatives that ask for the routing key alone; None when the flag asks for more.
    ``on`` is whether it lets in anybody at all. ``met`` decides by a whole context.
    """

    share: int
    rollouts: tuple[Rollout, ...] | None = ()
    on: bool = True
    met: Test = field(compare=False, default=lambda _: False)
    choose: Choose = field(compare=False, default=nothing)

    def enabled(self, key: str | None, context: Context | None = None) -> bool:
        """Whether ``key`` is in. Without a key nobody is in before everybody is: nothing else is sticky.

        A flag that asks for more looks at the ``context``, whose user that key is.
        """
        if self.rollouts is None:
            return self.met(Context(user_id=key) if context is None else context)
        if key is None:
            return self.share == FULL
        # Clients choose their keys: what is no valid text still gets a bucket instead of an error.
        return self.includes(key.encode("utf-8", "surrogatepass"))

    def includes(self, key: bytes, context: Context | None = None) -> bool:
        """Whether a key is in that is encoded already."""
        if self.rollouts is None:
            return self.enabled(key.decode("utf-8", "surrogatepass"), context)
        if self.share == 0:
            return False
        if self.share == FULL:
            return True
        for rollout in self.rollouts:
            # As `Rollout.admits`, whose call would be a third of the whole.
            digest = murmur3(rollout.prefix + key, 0, False)
            percent = digest % 100
            if percent < rollout.whole:
                return True
            if percent == rollout.whole and digest // 100 % 100 < rollout.rest:
                return True
        return False

    def variant(self, context: Context) -> Variant | None:
        """The variant that the context gets, if it is in and there are any."""
        return self.choose(context) if self.met(context) else None


OFF = Rule(0, on=False)
ON = Rule(FULL, met=lambda _: True)


def compile_feature(feature: Feature, parents: Mapping[str, Rule] | None = None, salt: str = "") -> Rule:
    """The rule of one feature; ``parents`` are the flags it may depend on, by name. ``salt`` stands for its
    name where a strategy has no group.

    Raises FlagError for what Unleash's engine could not evaluate either, and for segments, which
    `flags.document.inlined` writes out.
    """
    if any(strategy.segments for strategy in feature.strategies):
        raise FlagError(f"flag {feature.name!r} has segments. Import it with the document that has them.")
    strategies = [compile_strategy(salt or feature.name, strategy) for strategy in feature.strategies]
    depends = [_dependency(each, parents or {}) for each in feature.dependencies or ()]
    tests = [strategy.test for strategy in strategies]
    choose = compile_variants(feature, tests)
    if not feature.enabled:
        return Rule(0, on=False, choose=choose)
    rollouts = tuple(each.rollout for each in strategies if each.rollout is not None)
    by_key = len(rollouts) == len(strategies) and not depends
    share = max((strategy.share for strategy in strategies), default=0 if strategies else FULL)
    return Rule(
        share,
        tuple(each for each in rollouts if each.share) if by_key else None,
        met=_met(tests, depends),
        choose=choose,
    )


def compile_features(features: Iterable[Feature]) -> dict[str, Rule]:
    """The rules of flags that may depend on each other, by name. Raises FlagError."""
    every = {feature.name: feature for feature in features}.values()  # the last one of a name counts
    free = {feature.name: feature for feature in every if not feature.dependencies}

    def parents(child: Feature) -> dict[str, Rule]:
        """A parent without a group of its own is salted by whoever asks: so it is in Unleash's engine."""
        wanted = {each.feature for each in child.dependencies or ()} & free.keys()
        return {name: compile_feature(free[name], salt=child.name) for name in wanted}

    return {name: compile_feature(feature) for name, feature in free.items()} | {
        feature.name: compile_feature(feature, parents(feature)) for feature in every if feature.dependencies
    }


def _met(tests: Sequence[Test], depends: Sequence[Test]) -> Test:
    if not tests:
        strategies: Test = lambda _: True  # noqa: E731 - one of three, as a value
    elif len(tests) == 1:
        strategies = tests[0]
    else:
        strategies = lambda context: any(test(context) for test in tests)  # noqa: E731 - as above
    if not depends:
        return strategies
    return lambda context: all(test(context) for test in depends) and strategies(context)


def _dependency(wanted: Dependency, parents: Mapping[str, Rule]) -> Test:
    """One that is not there, or depends on others itself, is never satisfied: so it is in Unleash."""
    if wanted.feature not in parents:
        return lambda _: False
    parent = parents[wanted.feature]
    expected = wanted.enabled is not False
    names = frozenset(wanted.variants or ())

    def satisfied(context: Context) -> bool:
        if names:
            variant = parent.choose(context)
            if variant is not None and variant.name not in names:
                return False
        return parent.met(context) is expected

    return satisfied
