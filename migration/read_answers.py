"""How both sides have answered the reads that a flag splits between them. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class Answers:
    """How a side answered reads. ``milliseconds`` are counts by bucket, of those that did not fail."""

    answered: int = 0
    failed: int = 0
    milliseconds: Mapping[float, int] = field(default_factory=dict)

    @classmethod
    def all(cls, parts: Iterable["Answers"]) -> Self:
        """Several together."""
        answered = failed = 0
        buckets: Counter[float] = Counter()
        for part in parts:
            answered += part.answered
            failed += part.failed
            buckets.update(part.milliseconds)
        return cls(answered, failed, dict(buckets))

    @property
    def rate(self) -> float:
        """The share that failed, 0 to 1."""
        return self.failed / self.answered if self.answered else 0.0

    @property
    def timed(self) -> int:
        return sum(self.milliseconds.values())

    def told(self) -> str:
        return f"{self.failed} of {self.answered} reads ({self.rate:.2%})"


@dataclass(frozen=True, slots=True)
class Both:
    """Both sides in the same time."""

    service: Answers = Answers()
    monolith: Answers = Answers()
