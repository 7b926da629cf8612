"""The faults of a soak: a sequence that a seed tells, and what each does to a running migration."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from migration.switch import Switch

STEPS = tuple(step.name for step in Switch.steps)
KINDS = (
    "none",
    "controller killed",
    "relay killed",
    "worker killed",
    "monolith's PostgreSQL killed",
    "service's PostgreSQL killed",
    "long transaction",
    "stray writes",
    "service stands still",
)
"""What can befall a switch."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that happens after a step of the next switch. ``rest`` are the seconds of calm after it."""

    kind: str
    step: str
    seconds: float
    rest: float

    def __str__(self) -> str:
        return self.kind if self.kind == "none" else f"{self.kind} after {self.step}"


def faults(seed: int) -> Iterator[Fault]:
    """Without end, and always the same for a seed. Each kind comes once before any comes again."""
    draw = random.Random(seed)
    while True:
        for kind in draw.sample(KINDS, len(KINDS)):
            yield Fault(kind, draw.choice(STEPS), draw.uniform(0.2, 1.5), draw.uniform(0.2, 1.0))
