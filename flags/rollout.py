"""The rule that decides who is in: Unleash's gradual rollout, compiled to a hash and a comparison."""

from dataclasses import dataclass

from mmh3 import hash as murmur3

from flags.document import Feature, Strategy
from flags.errors import FlagError
from flags.percent import FULL, Precision, parse_percent


@dataclass(frozen=True, slots=True)
class Rollout:
    """One gradual rollout: the keys whose bucket, hashed behind ``prefix``, is within the share.

    ``whole`` is the share's whole percents, ``rest`` its hundredths of the percent that follows.
    """

    prefix: bytes
    whole: int
    rest: int

    @property
    def share(self) -> int:
        return self.whole * 100 + self.rest


@dataclass(frozen=True, slots=True)
class Rule:
    """What a flag says, ready to evaluate. Several rollouts are alternatives; ``share`` (‱) is the widest.

    A key's bucket does not depend on the share, so raising a share never evicts a key that was in.
    """

    share: int
    rollouts: tuple[Rollout, ...] = ()

    def enabled(self, key: str | None) -> bool:
        """Whether ``key`` is in. Without a key nobody is in before everybody is: nothing else is sticky."""
        if key is None:
            return self.share == FULL
        # Clients choose their keys: what is no valid text still gets a bucket instead of an error.
        return self.includes(key.encode("utf-8", "surrogatepass"))

    def includes(self, key: bytes) -> bool:
        """Whether a key is in that is encoded already."""
        if self.share == 0:
            return False
        if self.share == FULL:
            return True
        for rollout in self.rollouts:
            digest = murmur3(rollout.prefix + key, 0, False)
            percent = digest % 100
            if percent < rollout.whole:
                return True
            if percent == rollout.whole and digest // 100 % 100 < rollout.rest:
                return True
        return False


OFF = Rule(share=0)
ON = Rule(share=FULL)


def bucket(group_id: str, key: str, scale: int = 100) -> int:
    """The bucket of a key, 1..``scale`` (100 or 10000): in when it is not above the share in that scale.

    At 100 it is Unleash's own. At 10000 each of Unleash's buckets is split in a hundred, so that whole
    percents choose the same keys at both scales, and a change of precision evicts nobody.
    """
    digest = murmur3(f"{group_id}:{key}".encode("utf-8", "surrogatepass"), 0, False)
    percent, rest = digest % 100, digest // 100 % 100
    return percent + 1 if scale == 100 else percent * 100 + rest + 1


def compile_feature(feature: Feature) -> Rule:
    """The rule of one feature. Raises FlagError for what would not be evaluated exactly as Unleash does."""
    _refuse(feature.name, "dependencies on other flags", feature.dependencies)
    _refuse(feature.name, "variants", feature.variants)
    rollouts = tuple(_compile(feature.name, strategy) for strategy in feature.strategies)
    if not feature.enabled:
        return OFF
    share = max((rollout.share for rollout in rollouts), default=FULL)
    return ON if share == FULL else Rule(share, tuple(r for r in rollouts if r.share))


def _compile(flag: str, strategy: Strategy) -> Rollout:
    _refuse(flag, "constraints", strategy.constraints)
    _refuse(flag, "segments", strategy.segments)
    _refuse(flag, "variants", strategy.variants)
    _refuse(flag, "a disabled strategy", strategy.disabled)
    if strategy.name == "default":
        return Rollout(b"", 100, 0)
    if strategy.name != "flexibleRollout":
        raise FlagError(
            f"flag {flag!r} uses the strategy {strategy.name!r}, which is not evaluated here. "
            "Use `flexibleRollout` or `default`."
        )
    return _gradual(flag, strategy.parameters)


def _gradual(flag: str, parameters: dict[str, str]) -> Rollout:
    stickiness = parameters.get("stickiness", "default")
    if stickiness not in {"default", "userId"}:
        raise FlagError(
            f"flag {flag!r} is sticky on {stickiness!r}, but is evaluated with the phase's routing key, "
            "which is Unleash's userId. Set stickiness to `default` or `userId`."
        )
    group = parameters.get("groupId", flag)
    if '"' in group or "\\" in group:
        raise FlagError(
            f"flag {flag!r} has the groupId {group!r}: Unleash's engine stumbles over double quotes and "
            "backslashes in it. Choose another."
        )
    if "rollout" not in parameters:
        raise FlagError(f"flag {flag!r} has a flexibleRollout without a `rollout`. Give it a percentage.")
    try:
        share = parse_percent(parameters["rollout"], Precision.PERMYRIAD)
    except FlagError as error:
        raise FlagError(f"flag {flag!r}, rollout: {error}") from error
    return Rollout(f"{group}:".encode("utf-8", "surrogatepass"), *divmod(share, 100))


def _refuse(flag: str, what: str, present: object) -> None:
    if present:
        raise FlagError(
            f"flag {flag!r} uses {what}, which would not be evaluated here. "
            "Remove it, or express the flag as a `flexibleRollout` strategy alone."
        )
