"""Who is in a gradual rollout: a hash and a comparison."""

from dataclasses import dataclass

from mmh3 import hash as murmur3

from flags.errors import FlagError
from flags.percent import Precision, parse_percent
from flags.text import require_quotable


@dataclass(frozen=True, slots=True)
class Rollout:
    """One gradual rollout: the keys whose bucket, hashed behind ``prefix``, is within the share.

    ``whole`` is the share's whole percents, ``rest`` its hundredths of the percent that follows. A key's
    bucket does not depend on the share, so raising a share never evicts a key that was in.
    """

    prefix: bytes
    whole: int
    rest: int

    @property
    def share(self) -> int:
        return self.whole * 100 + self.rest

    def admits(self, key: str) -> bool:
        # Clients choose their keys: what is no valid text still gets a bucket instead of an error.
        digest = murmur3(self.prefix + key.encode("utf-8", "surrogatepass"), 0, False)
        percent = digest % 100
        return percent < self.whole or (percent == self.whole and digest // 100 % 100 < self.rest)


EVERYBODY = Rollout(b"", 100, 0)


def bucket(group_id: str, key: str, scale: int = 100) -> int:
    """The bucket of a key, 1..``scale`` (100 or 10000): in when it is not above the share in that scale.

    At 100 it is Unleash's own. At 10000 each of Unleash's buckets is split in a hundred, so that whole
    percents choose the same keys at both scales, and a change of precision evicts nobody.
    """
    digest = murmur3(f"{group_id}:{key}".encode("utf-8", "surrogatepass"), 0, False)
    percent, rest = digest % 100, digest // 100 % 100
    return percent + 1 if scale == 100 else percent * 100 + rest + 1


def compile_rollout(flag: str, group: str, percentage: str | None) -> Rollout:
    """The rollout of a strategy's parameters. Raises FlagError."""
    require_quotable(flag, "groupId", [group])
    if percentage is None:
        raise FlagError(f"flag {flag!r} has a gradual rollout without a `rollout`. Give it a percentage.")
    try:
        share = parse_percent(percentage, Precision.PERMYRIAD)
    except FlagError as error:
        raise FlagError(f"flag {flag!r}, rollout: {error}") from error
    return Rollout(f"{group}:".encode("utf-8", "surrogatepass"), *divmod(share, 100))
