"""What pairs of answers say of a field: noise, a fault that hides in it, or too little to tell. Pure.

Each request of a pair was answered twice by the monolith and once by the service. If the service is no worse
than the monolith, a field differs between the two sides as often as between the monolith's own answers, and
of the requests in which only one of both happened (the discordant ones) about half are of each sort.
McNemar's test, exact and one-sided, says how likely so many by the service alone are by chance.

What is never excused, however often the monolith does it itself: another status, another type, a member that
is missing or extra.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import comb, sqrt
from statistics import NormalDist

from facade.noise import ORDER, FieldNoise, Noise, Traits
from migration.intervals import Interval, wilson

CHANCE = 0.001
"""How likely a set of pairs may be by chance before the service is blamed, over all fields of a phase."""
LEAST = 5
"""Pairs in which the monolith must differ from itself in a field before that is taken for noise."""
_EXACT = 1000
"""Discordant pairs up to which the test is computed exactly."""
EXCUSABLE = frozenset({"value", ORDER})
"""The kinds of difference that noise may have."""


class Judgement(StrEnum):
    """What a field is."""

    NOISE = "noise"
    """The monolith differs from itself, and the service not more often: a rule may say so."""
    FAULT = "fault"
    """The service differs more often than the monolith from itself."""
    UNSTABLE = "unstable"
    """The monolith differs from itself in a way that no rule should hide."""
    UNCLEAR = "unclear"
    """Too few pairs to tell."""


@dataclass(frozen=True, slots=True)
class FieldJudgement:
    """One field of one route. The rates are of all pairs, each with its 95 % interval (Wilson): how often the
    monolith differed from itself, and the service from the monolith. ``chance`` is McNemar's."""

    route: str
    path: str
    kind: str
    pairs: int
    monolith: int
    service: int
    monolith_alone: int
    service_alone: int
    chance: float
    judgement: Judgement
    traits: Traits

    @property
    def monolith_interval(self) -> Interval:
        return wilson(self.monolith, self.pairs)

    @property
    def service_interval(self) -> Interval:
        return wilson(self.service, self.pairs)


def mcnemar(service: int, monolith: int) -> float:
    """How likely at least so many discordant pairs are the service's, of all discordant ones, by chance."""
    total = service + monolith
    if total <= _EXACT:
        return float(sum(comb(total, n) for n in range(service, total + 1)) / 2**total)
    return 1.0 - NormalDist(total / 2, sqrt(total) / 2).cdf(service - 0.5)


def judge_noise(routes: Mapping[str, Noise]) -> list[FieldJudgement]:
    """Every field that differed in any pair, faults first. The more fields, the surer a fault must be."""
    fields = [
        (route, place, found, noise.pairs)
        for route, noise in routes.items()
        for place, found in noise.fields.items()
    ]
    judged = [
        _judge(route, place, found, pairs, CHANCE / len(fields)) for route, place, found, pairs in fields
    ]
    return sorted(judged, key=lambda each: (_ORDER[each.judgement], -each.service, each.route, each.path))


_ORDER = {
    judgement: at
    for at, judgement in enumerate((Judgement.FAULT, Judgement.UNSTABLE, Judgement.NOISE, Judgement.UNCLEAR))
}


def _judge(route: str, place: tuple[str, str], found: FieldNoise, pairs: int, limit: float) -> FieldJudgement:
    path, kind = place
    chance = mcnemar(found.service, found.monolith)
    itself = found.both + found.monolith
    if chance < limit:
        judgement = Judgement.FAULT
    elif itself and kind not in EXCUSABLE:
        judgement = Judgement.UNSTABLE
    elif itself >= LEAST:
        judgement = Judgement.NOISE
    else:
        judgement = Judgement.UNCLEAR
    return FieldJudgement(
        route,
        path,
        kind,
        pairs,
        itself,
        found.both + found.service,
        found.monolith,
        found.service,
        chance,
        judgement,
        found.traits,
    )


def noisy_pairs(routes: Iterable[Noise]) -> tuple[int, int]:
    """In how many pairs the monolith differed from itself, and of how many."""
    noises = list(routes)
    return sum(noise.noisy for noise in noises), sum(noise.pairs for noise in noises)
