"""How each side answers the reads that a flag splits between them: what a ramp is judged by.

On the event loop a request costs one look-up, one addition and one append; everything else is done by the
watcher thread, which takes the tally now and then.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from facade.decision import Decision
from facade.evidence import LATENCY_BUCKETS_MS
from flags.side import MONOLITH, SERVICE, Side

_TIMED = 1_000
"""About so many latencies are kept of each side each time: enough to compare two distributions by."""
_MOST_TIMED = 4 * _TIMED


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """How a side answered the reads of a phase that were meant for it, since they were last told.

    ``failed`` are answers of 500 and above, answers that broke off, and reads that the other side had to
    answer instead. ``milliseconds`` are how long the others took until their first byte, in the buckets of
    ``LATENCY_BUCKETS_MS``; of many answers it is a sample.
    """

    phase: str
    side: Side
    answered: int
    failed: int
    milliseconds: Mapping[float, int]


class _Answers:
    __slots__ = ("answered", "due", "every", "failed", "seconds")

    def __init__(self, every: int = 1) -> None:
        self.answered = 0
        self.failed = 0
        self.every = every
        self.due = every
        self.seconds: list[float] = []


class Tally:
    """Counts since they were last taken. ``troubled``: reads have failed since."""

    def __init__(self) -> None:
        self.troubled = False
        # By phase, a dictionary for each side: the hash of an enum's member costs as much as all the rest.
        self._monolith: dict[str, _Answers] = {}
        self._service: dict[str, _Answers] = {}

    def add(self, decision: Decision, side: Side, status: int, seconds: float) -> None:
        """A read is over that was meant for the side of its decision, and was answered by ``side``.

        A client that gave up (499) counts as one that was answered then: it waited for so long at least.
        """
        meant = decision.side
        try:
            answers = (self._service if meant is SERVICE else self._monolith)[decision.phase.name]  # type: ignore[union-attr]
        except KeyError:
            answers = self._of(decision)
        answers.answered += 1
        if side is not meant or status >= 500:
            answers.failed += 1
            self.troubled = True
        elif answers.answered >= answers.due:
            answers.due = answers.answered + answers.every
            answers.seconds.append(seconds)
            if len(answers.seconds) >= _MOST_TIMED:  # nobody takes them
                answers.every *= _MOST_TIMED

    def broken(self, decision: Decision) -> None:
        """The answer of a read broke off; it is added all the same."""
        if decision.split and not decision.write:
            self._of(decision).failed += 1
            self.troubled = True

    def take(self) -> "Taken":
        """Everything since the last call, which is then forgotten. On the event loop."""
        taken = Taken(self._monolith, self._service)
        self.troubled = False
        self._monolith, self._service = _successors(self._monolith), _successors(self._service)
        return taken

    def _of(self, decision: Decision) -> _Answers:
        every = self._service if decision.side is SERVICE else self._monolith
        name = decision.phase.name  # type: ignore[union-attr]  # whoever splits has a phase
        try:
            return every[name]
        except KeyError:
            every[name] = answers = _Answers()
            return answers


def _successors(taken: Mapping[str, _Answers]) -> dict[str, _Answers]:
    return {
        name: _Answers(max(1, answers.answered // _TIMED))
        for name, answers in taken.items()
        if answers.answered
    }


class Taken:
    """A tally that was taken; on any thread."""

    def __init__(self, monolith: Mapping[str, _Answers], service: Mapping[str, _Answers]) -> None:
        self._answers = ((MONOLITH, monolith), (SERVICE, service))

    def counts(self) -> list[ReadCounts]:
        """Phase by phase and side by side; none of what nobody asked for."""
        return [
            ReadCounts(phase, side, each.answered, each.failed, dict(Counter(map(_bucket, each.seconds))))
            for side, answers in self._answers
            for phase, each in answers.items()
            if each.answered
        ]


def _bucket(seconds: float) -> float:
    at = bisect_left(LATENCY_BUCKETS_MS, seconds * 1000)
    return LATENCY_BUCKETS_MS[min(at, len(LATENCY_BUCKETS_MS) - 1)]
