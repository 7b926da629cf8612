"""Evidence: counts of several workers add up, and samples stay few."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.control import Control
from migration.evidence import (
    DIFFERENCES_KEPT,
    FIELDS_KEPT,
    HOUR,
    PATH_KEPT,
    ControlEvidence,
    Retention,
    agreement,
    shadow_summary,
)
from migration.schema.observed import shadow_counts, shadow_samples

ROUTE = "GET /search"


@pytest.fixture(params=["sqlite", "postgresql"])
def control(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_database: Callable[[], str]
) -> Iterator[Control]:
    url = f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else postgresql_database()
    opened = Control.open(url)
    yield opened
    opened.close()


def sample(number: int, path: str = "$.name") -> Comparison:
    return Comparison(
        phase="search",
        route=ROUTE,
        request_id=f"r{number}",
        method="GET",
        target="/search?q=a",
        at=time.time(),
        differences=(Difference(path, "value", "a", "b"),),
        primary_status=200,
        shadow_status=200,
        primary_ms=1.5,
        shadow_ms=2.5,
    )


def counts(**values) -> ShadowCounts:
    return ShadowCounts("search", ROUTE, **values)


def test_i10_counts_of_all_workers_add_up(control: Control) -> None:
    part = {
        "eligible": 10,
        "matched": 6,
        "mismatched": 1,
        "stale": 1,
        "drops": {"queue": 2},
        "fields": {("$.name", "value"): 1},
        "rules": {"$.took": 4},
        "primary_ms": {1.0: 7, 2.5: 1},
        "shadow_ms": {4.0: 8},
    }
    ControlEvidence(control).record("w1", [counts(**part)], [])
    ControlEvidence(control).record("w2", [counts(**part)], [sample(1)])

    summary = shadow_summary(control, "search", 0.0)

    [route] = summary.routes
    assert (route.eligible, route.matched, route.mismatched, route.stale) == (20, 12, 2, 2)
    assert route.drops == {"queue": 4}
    assert [(f.path, f.kind, f.count) for f in route.fields] == [("$.name", "value", 2)]
    assert route.rules == {"$.took": 8}
    assert [each.value for each in (route.primary.p50, route.primary.p99, route.shadow.p50)] == [
        1.0,
        2.5,
        4.0,
    ]
    assert route.match_rate == 12 / 14
    assert summary.total.eligible == 20
    assert summary.samples[0].differences == (Difference("$.name", "value", "a", "b"),)


def test_only_evidence_since_the_given_time_counts(control: Control) -> None:
    ControlEvidence(control).record("w1", [counts(eligible=1, matched=1)], [sample(1)])
    later = shadow_summary(control, "search", time.time() + 120)
    assert (later.total.eligible, later.routes, later.samples) == (0, (), ())


def test_a_gate_asks_for_the_same_counts_as_the_report(control: Control) -> None:
    ControlEvidence(control).record("w1", [counts(eligible=5, matched=3, mismatched=2)], [])
    ControlEvidence(control).record("w1", [ShadowCounts("other", ROUTE, 1, 1)], [])
    found = agreement(control, "search", 0.0)
    assert (found.compared, found.matched, found.match_rate) == (5, 3, 0.6)
    assert agreement(control, "search", time.time() + 120).match_rate is None


def test_the_first_and_the_latest_samples_of_each_kind_are_kept(control: Control) -> None:
    evidence = ControlEvidence(control, {"search": Retention(samples=4)})
    for number in range(20):
        evidence.record("w1", [], [sample(number)])
    evidence.record("w1", [], [sample(100, "$.other")])
    kept = [s.request_id for s in shadow_summary(control, "search", 0.0).samples]
    assert kept == ["r0", "r1", "r18", "r19", "r100"]


def test_samples_of_endless_kinds_are_capped_for_the_phase(control: Control) -> None:
    evidence = ControlEvidence(control, {"search": Retention(most_samples=6)})
    for number in range(20):
        evidence.record("w1", [], [sample(number, f"$.k{number}")])
    kept = [s.request_id for s in shadow_summary(control, "search", 0.0).samples]
    assert kept == ["r0", "r1", "r2", "r17", "r18", "r19"]


def test_a_sample_keeps_few_differences(control: Control) -> None:
    many = tuple(Difference(f"$.k{n}", "value", "a", "b") for n in range(DIFFERENCES_KEPT + 5))
    ControlEvidence(control).record("w1", [], [replace(sample(1), differences=many)])
    (kept,) = shadow_summary(control, "search", 0.0).samples
    assert kept.differences == many[:DIFFERENCES_KEPT]


def record_at(control: Control, monkeypatch: pytest.MonkeyPatch, at: float, **retention: float) -> None:
    """A worker's turn at another time."""
    with monkeypatch.context() as patched:
        patched.setattr(control, "now", lambda _: at)
        evidence = ControlEvidence(control, {"search": Retention(**retention)})
        evidence.record("w1", [counts(eligible=1, matched=1)], [replace(sample(int(at)), at=at)])


def slots(control: Control) -> list[int]:
    with control.read() as connection:
        return list(connection.scalars(select(shadow_counts.c.slot).order_by(shadow_counts.c.slot)))


def test_what_is_too_old_goes_by_the_plans_days(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    day, now = 86_400, int(time.time()) // HOUR * HOUR
    for age in (9.9, 5.1, 2.0, 0.0):
        record_at(control, monkeypatch, now - age * day, days=5.0)
    with control.read() as connection:
        assert connection.scalar(select(func.count()).select_from(shadow_samples)) == 2
    assert len(slots(control)) == 2


def test_minutes_become_hours_after_a_day_and_nothing_is_lost(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = int(time.time()) // HOUR * HOUR - 40 * HOUR
    for minute in (0, 1, 59, 60, 61):
        record_at(control, monkeypatch, hour + 60.0 * minute)
    record_at(control, monkeypatch, hour + 30.0 * HOUR)
    assert slots(control) == [hour, hour + HOUR, hour + 30 * HOUR]
    assert shadow_summary(control, "search", hour).total.matched == 6
    assert shadow_summary(control, "search", hour, hour + HOUR).total.matched == 3


def test_periods_that_follow_each_other_share_no_minute(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = int(time.time()) // 60 * 60 - 600.0
    for minute in range(5):
        record_at(control, monkeypatch, begin + 60.0 * minute)
    middle = begin + 130.0
    parts = [shadow_summary(control, "search", begin, middle), shadow_summary(control, "search", middle)]
    assert [part.total.matched for part in parts] == [2, 3]


def test_i10_workers_that_are_first_in_a_slot_together_lose_nothing(control: Control) -> None:
    together = threading.Barrier(4)

    def work() -> None:
        evidence = ControlEvidence(control)
        together.wait()
        for _ in range(5):
            evidence.record("w", [counts(eligible=1, matched=1)], [])

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert shadow_summary(control, "search", 0.0).total.matched == 20


def test_endless_paths_are_folded(control: Control) -> None:
    many = {(f"$.users.{n}", "missing"): 1 for n in range(FIELDS_KEPT + 10)}
    ControlEvidence(control).record("w1", [counts(eligible=1, mismatched=1, fields=many)], [])
    [route] = shadow_summary(control, "search", 0.0).routes
    assert len(route.fields) == FIELDS_KEPT + 1
    assert sum(f.count for f in route.fields) == FIELDS_KEPT + 10


def test_a_place_named_by_data_is_no_place_of_its_own(control: Control) -> None:
    long = {("$." + "k" * PATH_KEPT, "extra"): 2, ("$.a", "value"): 1}
    ControlEvidence(control).record("w1", [counts(eligible=1, mismatched=1, fields=long)], [])
    [route] = shadow_summary(control, "search", 0.0).routes
    assert [(f.path, f.count) for f in route.fields] == [("(elsewhere)", 2), ("$.a", 1)]
