"""What a soak comes to, in one line."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """``left`` counts guards, fences and runs that nobody cleared away; ``wrong`` says in words what must
    not have happened."""

    seed: int
    seconds: float = 0.0
    requests: int = 0
    failed: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    switches: int = 0
    cancelled: int = 0
    left: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.acknowledged > 0 and not (self.lost or self.doubled or self.left or self.wrong)

    def __str__(self) -> str:
        befell = ", ".join(f"{number} × {kind}" for kind, number in sorted(self.faults.items()))
        return (
            f"{'passed' if self.good else 'FAILED'}: seed {self.seed}, {self.seconds / 60:.1f} minutes, "
            f"{self.requests} requests, {self.failed} failed, {self.acknowledged} acknowledged writes, "
            f"{self.lost} lost, {self.doubled} doubled, {self.switches} switches, "
            f"{self.cancelled} cancelled, faults: {befell or 'none'}, {self.left} guards left"
        )
