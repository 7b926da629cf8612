"""Which of its variants a flag gives to whom: by override, else by weight."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from mmh3 import hash as murmur3

from flags.constraints import Test
from flags.context import Context, lookup
from flags.document import Feature, Variant

Choose = Callable[[Context], Variant | None]

_SEED = 86028157
"""Unleash's, so that who gets which variant does not hang together with who is in."""


def nothing(_: Context) -> None:
    """The choice of a flag without variants."""


def compile_variants(feature: Feature, tests: Sequence[Test]) -> Choose:
    """The variants of the first strategy that is met, and the flag's own when that has none.

    ``tests`` are the strategies', in their order.
    """
    own = _choice(feature.name, feature.variants or (), None)
    if not any(strategy.variants for strategy in feature.strategies):
        return own
    ways: list[tuple[Test, Choose]] = []
    for test, strategy in zip(tests, feature.strategies, strict=True):
        group = strategy.parameters.get("groupId", feature.name)
        stickiness = strategy.parameters.get("stickiness", "default")
        ways.append((test, _choice(group, strategy.variants, stickiness) if strategy.variants else own))

    def choose(context: Context) -> Variant | None:
        return next((choice for test, choice in ways if test(context)), own)(context)

    return choose


def _choice(group: str, variants: Sequence[Variant], stickiness: str | None) -> Choose:
    """``stickiness`` is the strategy's; a flag's own variants go by that of the first."""
    if not variants:
        return nothing
    total = sum(variant.weight for variant in variants)
    said = variants[0].stickiness if stickiness is None else stickiness
    seed = _seed("default" if said is None else said)
    edges = tuple(accumulate(variant.weight for variant in variants))
    overrides = tuple(
        (variant, lookup(override.context_name), frozenset(override.values))
        for variant in variants
        for override in (variant.overrides or () if stickiness is None else ())
    )

    def choose(context: Context) -> Variant | None:
        for variant, look, values in overrides:
            if look(context) in values:
                return variant
        if not total:
            return None  # over which Unleash's engine stumbles
        key = seed(context)
        if key is None:
            target = context.draw(total)
        else:
            target = murmur3(f"{group}:{key}".encode("utf-8", "surrogatepass"), _SEED, False) % total + 1
        return next(variant for variant, edge in zip(variants, edges, strict=True) if edge >= target)

    return choose


def _seed(stickiness: str) -> Callable[[Context], str | None]:
    if stickiness == "default":
        return lambda context: context.session_id if context.user_id is None else context.user_id
    if stickiness == "currentTime":  # which is no moment here: Unleash asks for a property of this name
        return lambda context: context.properties.get(stickiness)
    return lookup(stickiness)
