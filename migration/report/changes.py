"""One run of shadow traffic beside an earlier one: what became better, what worse. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from migration.intervals import Interval, Percentile, newcombe
from migration.summary import Agreement, RouteSummary, ShadowSummary

_EXPECTED = 4.0
"""A difference that stayed as frequent would have come so often: that it did not come at all has then a
probability below 2 %."""
_TIMES = 2.0
"""A difference that is so many times as frequent got worse."""


class Turn(StrEnum):
    """Which way a figure went."""

    BETTER = "better"
    WORSE = "worse"
    OPEN = "no change shown"


@dataclass(frozen=True, slots=True)
class RateChange:
    """A route's match rate then and now. ``grew`` is the 95 % interval of the growth, -1 to 1."""

    route: str
    before: Agreement | None
    now: Agreement | None
    grew: Interval
    turn: Turn


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One difference then and now, in places for each 1,000 comparisons of its route."""

    route: str
    path: str
    kind: str
    before: float
    now: float
    turn: Turn
    remark: str


@dataclass(frozen=True, slots=True)
class LatencyChange:
    """A percentile of the service then and now."""

    name: str
    before: Percentile
    now: Percentile
    turn: Turn


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of an earlier run. ``label`` says which."""

    label: str
    total: RateChange
    routes: tuple[RateChange, ...]
    fields: tuple[FieldChange, ...]
    latency: tuple[LatencyChange, ...]

    @property
    def sentence(self) -> str:
        """All of it in one sentence."""
        low, high = self.total.grew
        turn = {
            Turn.BETTER: "The service agrees more often than before",
            Turn.WORSE: "The service agrees less often than before",
            Turn.OPEN: "Neither run is shown to be better",
        }[self.total.turn]
        new = sum(field.turn is Turn.WORSE for field in self.fields)
        gone = sum(field.turn is Turn.BETTER for field in self.fields)
        return (
            f"{turn} ({100 * low:+.2f} to {100 * high:+.2f} points, 95 % interval); "
            f"{new or 'no'} difference{'' if new == 1 else 's'} became more frequent, {gone or 'none'} less."
        )


def changes(before: ShadowSummary, now: ShadowSummary, label: str) -> Changes:
    """What became of the ``before``, with the worst first."""
    earlier = {route.route: route for route in before.routes}
    later = {route.route: route for route in now.routes}
    names = sorted({*earlier, *later})
    fields = [each for name in names for each in _fields(earlier.get(name), later.get(name))]
    order = [Turn.WORSE, Turn.BETTER, Turn.OPEN]
    return Changes(
        label,
        _rate("all routes", before.total, now.total),
        tuple(_rate(name, earlier.get(name), later.get(name)) for name in names),
        tuple(sorted(fields, key=lambda each: (order.index(each.turn), -abs(each.now - each.before)))),
        tuple(_latency(before.total, now.total)),
    )


def _rate(route: str, before: Agreement | None, now: Agreement | None) -> RateChange:
    was, is_ = ((0, 0) if each is None else (each.matched, each.compared) for each in (before, now))
    low, high = newcombe(was, is_)
    turn = Turn.BETTER if low > 0 else Turn.WORSE if high < 0 else Turn.OPEN
    return RateChange(route, before, now, (low, high), turn)


def _fields(before: RouteSummary | None, now: RouteSummary | None) -> Iterator[FieldChange]:
    """Differences of a route whose frequency changed; those of a route seen only once say nothing."""
    if before is None or now is None or not before.compared or not now.compared:
        return
    then = {(each.path, each.kind): each.count for each in before.fields}
    today = {(each.path, each.kind): each.count for each in now.fields}
    for path, kind in {**then, **today}:
        was = then.get((path, kind), 0) / before.compared
        is_ = today.get((path, kind), 0) / now.compared
        if (told := _told(was * now.compared, is_ * before.compared, was, is_)) is not None:
            yield FieldChange(now.route, path, kind, 1000 * was, 1000 * is_, *told)


def _told(expected_now: float, expected_before: float, was: float, is_: float) -> tuple[Turn, str] | None:
    if was == 0:
        sure = expected_before >= _EXPECTED
        return (Turn.WORSE, "new") if sure else (Turn.OPEN, "not seen before, among few comparisons")
    if is_ == 0:
        sure = expected_now >= _EXPECTED
        return (Turn.BETTER, "gone") if sure else (Turn.OPEN, "not seen again yet, among few comparisons")
    if is_ >= _TIMES * was:
        return Turn.WORSE, f"{is_ / was:.1f} times as often"
    if was >= _TIMES * is_:
        return Turn.BETTER, f"{was / is_:.1f} times as seldom"
    return None


def _latency(before: RouteSummary, now: RouteSummary) -> Iterator[LatencyChange]:
    for name in ("p50", "p95", "p99"):
        was, is_ = getattr(before.shadow, name), getattr(now.shadow, name)
        if was is None or is_ is None:
            continue
        turn = Turn.BETTER if is_.high < was.low else Turn.WORSE if is_.low > was.high else Turn.OPEN
        yield LatencyChange(name, was, is_, turn)
