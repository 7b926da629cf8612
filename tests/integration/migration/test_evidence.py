"""Evidence: counts of several workers add up, and samples stay few."""

import time
from pathlib import Path

import pytest

from facade.evidence import Comparison, Difference, ShadowCounts
from migration.control import Control
from migration.evidence import FIELDS_KEPT, SAMPLES_KEPT, ControlEvidence, shadow_summary

ROUTE = "GET /search"


@pytest.fixture
def control(tmp_path: Path):
    opened = Control.open(f"sqlite:///{tmp_path / 'control.db'}")
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
    assert (route.primary.p50, route.primary.p99, route.shadow.p50) == (1.0, 2.5, 4.0)
    assert route.match_rate == 12 / 14
    assert summary.total.eligible == 20
    assert summary.samples[0].differences == (Difference("$.name", "value", "a", "b"),)


def test_only_evidence_since_the_given_time_counts(control: Control) -> None:
    ControlEvidence(control).record("w1", [counts(eligible=1, matched=1)], [sample(1)])
    later = shadow_summary(control, "search", time.time() + 120)
    assert (later.total.eligible, later.routes, later.samples) == (0, (), ())


def test_the_newest_samples_of_each_kind_are_kept(control: Control) -> None:
    evidence = ControlEvidence(control)
    evidence.record("w1", [], [sample(n) for n in range(20)])
    evidence.record("w1", [], [sample(100, "$.other")])
    kept = [s.request_id for s in shadow_summary(control, "search", 0.0).samples]
    assert len(kept) == SAMPLES_KEPT + 1
    assert {"r19", "r100"} <= set(kept)


def test_endless_paths_are_folded(control: Control) -> None:
    many = {(f"$.users.{n}", "missing"): 1 for n in range(FIELDS_KEPT + 10)}
    ControlEvidence(control).record("w1", [counts(eligible=1, mismatched=1, fields=many)], [])
    [route] = shadow_summary(control, "search", 0.0).routes
    assert len(route.fields) == FIELDS_KEPT + 1
    assert sum(f.count for f in route.fields) == FIELDS_KEPT + 10
