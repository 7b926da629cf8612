"""Samples: a part of a table's key ranges, chosen by chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from dual_write.digest_query import Range

SAMPLED_ROWS = 5_000
"""The rows of one range."""


@dataclass(frozen=True, slots=True)
class Sample:
    """About this ``share`` (0 to 1) of the ranges; the same ones for the same ``seed`` and rows."""

    share: float
    seed: int

    def __str__(self) -> str:
        return f"a sample of about {self.share:.2%} of the key ranges, by seed {self.seed}"

    def of(self, ranges: Iterator[Range]) -> Iterator[Range]:
        """Those that were drawn."""
        random = Random(self.seed)  # noqa: S311 - nobody gains by guessing which rows are looked at
        return (each for each in ranges if random.random() < self.share)
