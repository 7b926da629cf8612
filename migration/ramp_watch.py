"""What the guard remembers of one phase, and what it makes of it: windows of several lengths, looked at again
and again. Pure.

Many looks find something at last where nothing is. So each is allowed a share of the false alarms that the
plan puts up with in a day: by Bonferroni's inequality their sum bounds the chance of any, however much the
windows overlap.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from migration.gate_facts import Verdict
from migration.plan_gates import Guard
from migration.ramp_verdict import Judgement, judge_errors, judge_latency
from migration.read_answers import Both
from migration.read_traffic import Told, pair_of

TICK_SECONDS = 0.2
"""How often the guard looks."""
ERROR_WINDOWS = (2.0, 30.0, 600.0)
"""Seconds: a burst, and ever smaller shares of errors at ever less traffic."""
LATENCY_WINDOWS = (15.0, 120.0)
LONGEST = max(ERROR_WINDOWS + LATENCY_WINDOWS)
_OVERLAP = 10
"""A window is looked at so many times in its own length, but never twice in a tick."""
_SELDOMEST = 10.0
"""Seconds between looks at the longest."""


def _every(window: float) -> float:
    return max(TICK_SECONDS, min(_SELDOMEST, window / _OVERLAP))


LOOKS_A_DAY = sum(2 * 86_400 / _every(window) for window in ERROR_WINDOWS) + sum(
    86_400 / _every(window) for window in LATENCY_WINDOWS
)
"""Probabilities that are judged in a day: two for errors, against the monolith and against the limit."""


class Watch:
    """One phase. Times are seconds since 1970 by the control database's clock."""

    def __init__(self) -> None:
        self._told: dict[int, Told] = {}
        self._looked: dict[tuple[str, float], float] = {}

    def hear(self, told: Sequence[Told], now: float) -> None:
        """Remember what was told, and forget what is too old for any window."""
        self._told.update((each.id, each) for each in told)
        if self._told and next(iter(self._told.values())).at < now - LONGEST:
            self._told = {id_: each for id_, each in self._told.items() if each.at >= now - LONGEST}

    def failure(self, rule: Guard, now: float, since: float) -> Judgement | None:
        """The first window that shows that the service is worse. Nothing before ``since`` counts."""
        alpha = rule.false_alarms / LOOKS_A_DAY
        for found in self._judgements(rule, alpha, now, since):
            if found.verdict is Verdict.FAIL:
                return found
        return None

    def _judgements(self, rule: Guard, alpha: float, now: float, since: float) -> Iterator[Judgement]:
        for window in ERROR_WINDOWS:
            if self._due("errors", window, now):
                yield judge_errors(pair_of(self._between(max(since, now - window), now)), rule, alpha)
        for window in LATENCY_WINDOWS:
            # One that began before ``since`` has an empty third, which lets nothing be found.
            if self._due("latency", window, now) and now - window >= since:
                yield judge_latency(self._thirds(window, now), rule, alpha)

    def _due(self, test: str, window: float, now: float) -> bool:
        if now - self._looked.get((test, window), 0.0) < _every(window):
            return False
        self._looked[test, window] = now
        return True

    def _thirds(self, window: float, now: float) -> list[Both]:
        bounds = [now - window * left / 3 for left in (3, 2, 1, 0)]
        return [pair_of(self._between(*each)) for each in pairwise(bounds)]

    def _between(self, after: float, until: float) -> list[Told]:
        return [each for each in self._told.values() if after < each.at <= until]
