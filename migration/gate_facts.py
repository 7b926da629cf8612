"""What gates are asked with, and what they answer: facts of a phase, the plan's limits, verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from flags.percent import format_percent
from migration.plan_gates import Guard
from migration.read_answers import Both
from migration.stages import Stage


class Verdict(StrEnum):
    """What a gate says. Only ``PASS`` opens it; ``INCONCLUSIVE`` says that it cannot tell yet, and why."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """One gate. ``remedy`` says what would open it, and is empty while it is open."""

    name: str
    verdict: Verdict
    reason: str
    remedy: str = ""
    open: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "open", self.verdict is Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Step:
    """What is asked for: a stage to go to, or a share (‱) of ``reads`` or ``writes`` to rise to."""

    to: Stage | Literal["reads", "writes"]
    share: int | None = None

    def __str__(self) -> str:
        return str(self.to) if self.share is None else f"{self.to} {format_percent(self.share)}"

    @property
    def goal(self) -> str:
        """Where it leads, as in "cannot go to …"."""
        return str(self.to) if self.share is None else f"{format_percent(self.share)} % of its {self.to}"

    def covers(self, other: "Step") -> bool:
        """Whether what is said of this step holds for the other: of a share, also for a smaller one."""
        return self.to == other.to and (self.share or 0) >= (other.share or 0)


@dataclass(frozen=True, slots=True)
class Limits:
    """The plan's limits: ages in seconds, the match rate from 0 to 1, how long a phase soaks in a stage, and
    for how long nothing may have reached the monolith before it is complete."""

    max_lag_seconds: float = 5.0
    max_check_age_seconds: float = 3600.0
    min_match_rate: float = 0.99
    min_samples: int = 100
    min_reads: int = 0
    soak: Mapping[str, float] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    min_idle_seconds: float = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class CheckFact:
    """The last consistency check. ``broken`` maps each invariant that did not hold to what was found, and
    ``asked`` names all that it asked."""

    clean: bool
    rows: int
    findings: int
    age_seconds: float
    asked: frozenset[str] = frozenset()
    broken: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsentFact:
    """What people have said about a step. ``approved`` are those who count, ``own`` says that whoever runs it
    is among the others; ``confirmed`` has who confirmed each of the plan's points, None while nobody did."""

    step: str
    needed: int = 0
    approved: Sequence[str] = ()
    own: bool = False
    confirmed: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdleFact:
    """What still reached the monolith: seconds since the last ``hit`` of one of the phase's routes, and since
    the last write that its guard refused; None where there was none. ``unseen`` were refused since the relay
    last looked; ``blind`` says that refused writes leave no trace in its database."""

    hit: str | None = None
    hit_seconds: float | None = None
    stray_seconds: float | None = None
    unseen: int = 0
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a phase now.

    ``moves_data`` and ``reads`` say whether it has tables and read routes at all. ``lag_*`` is None when it
    cannot be read; ``trouble`` says why. ``late_workers`` serve an older revision than the current one or
    are degraded. ``compared`` and ``matched`` count shadow comparisons since the phase last entered the
    stage shadow; ``mirrored`` is the share of reads that is mirrored now, in ‱. ``irreversible`` says why
    the phase's rows could not be carried back, ``drift`` what changed of the tables since capture began.
    ``invariants`` are the names of the plan's; ``stage_seconds`` is how long it is in its ``stage``.
    ``taken_back`` is why the guard took the reads back, until somebody has acknowledged it; ``answers`` how
    both sides have answered split reads in this stage since.
    """

    phase: str
    moves_data: bool
    reads: bool
    backfilled: bool
    lag_changes: int | None
    lag_seconds: float | None
    parked: int
    trouble: str | None
    check: CheckFact | None
    compared: int
    matched: int
    mirrored: int
    workers: int
    late_workers: Sequence[str]
    irreversible: str | None
    drift: Sequence[str] = ()
    invariants: Sequence[str] = ()
    stage: Stage = Stage.OFF
    stage_seconds: float = 0.0
    consent: ConsentFact | None = None
    taken_back: str | None = None
    answers: Both | None = None
    idle: IdleFact | None = None
