import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.demo.history import History, Request, Write, judge, percentiles, stage_at, timeline


def write(ref: str, label: str | None, acknowledged: bool = True) -> Write:
    return Write(0.0, "saved_searches", ref, "DELETE" if label is None else "PUT", label, acknowledged)


@pytest.mark.parametrize(
    ("writes", "rows", "expected"),
    [
        ([write("a", "1")], {"a": ["1"]}, (1, 1, 0, 0)),
        ([write("a", "1"), write("a", "2")], {"a": ["2"]}, (2, 2, 0, 0)),
        ([write("a", "1"), write("a", "2")], {"a": ["1"]}, (2, 1, 1, 0)),
        ([write("a", "1")], {}, (1, 0, 1, 0)),
        ([write("a", "1")], {"a": ["1", "1"]}, (1, 1, 0, 1)),
        ([write("a", "1"), write("a", None)], {}, (2, 2, 0, 0)),
        ([write("a", "1"), write("a", None)], {"a": ["1"]}, (2, 1, 1, 0)),
        ([write("a", "1"), write("a", "2", acknowledged=False)], {"a": ["2"]}, (1, 1, 0, 0)),
        ([write("a", "1"), write("a", None, acknowledged=False)], {}, (1, 1, 0, 0)),
        ([write("a", "1", acknowledged=False)], {}, (0, 0, 0, 0)),
        ([write("a", "1", acknowledged=False)], {"a": ["1"]}, (0, 0, 0, 0)),
    ],
)
def test_i2_every_acknowledged_write_is_looked_up(writes, rows, expected) -> None:
    verdict = judge(writes, rows)
    assert (verdict.acknowledged, verdict.found, verdict.lost, verdict.doubled) == expected
    assert bool(verdict.examples) == bool(verdict.lost or verdict.doubled)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1", "2", None]), st.booleans())))
def test_i10_acknowledged_writes_are_found_or_lost(entries) -> None:
    verdict = judge([write(*entry) for entry in entries], {"a": ["1"], "b": ["2", "2"]})
    assert verdict.acknowledged == verdict.found + verdict.lost


def test_a_history_is_read_up_to_where_it_was_cut(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    request = {"event": "request", "at": 1.0, "ms": 2.5, "name": "GET /search", "error": None}
    sent = {"event": "write", "at": 1.0, "table": "resources", "ref": "r", "op": "POST"}
    entries = [
        request,
        sent | {"number": 1, "name": "first"},
        sent | {"number": 2, "name": "second"},
        {"event": "acknowledged", "number": 2},
    ]
    file.write_text("\n".join(map(json.dumps, entries)) + '\n{"event": "ackno')
    history = History.read(file)
    assert history.requests == [Request(1.0, 2.5, "GET /search", None)]
    assert [(write.label, write.acknowledged) for write in history.writes] == [
        ("first", False),
        ("second", True),
    ]


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_in_order_and_within_what_was_measured(values) -> None:
    found = percentiles(values)
    assert min(values) - 0.1 <= found["p50"] <= found["p95"] <= found["p99"] <= max(values) + 0.1


def test_percentiles_of_nothing() -> None:
    assert percentiles([]) == {"p50": 0.0, "p95": 0.0, "p99": 0.0}


def test_the_stage_at_a_time() -> None:
    stages = [(10.0, "off"), (20.0, "shadow")]
    assert [stage_at(at, stages) for at in (5.0, 10.0, 19.9, 20.0)] == ["off", "off", "off", "shadow"]


def test_the_timeline_counts_by_window() -> None:
    requests = [Request(at, 10.0, "GET /", None) for at in (100.0, 100.5, 101.0, 104.5)]
    assert timeline(requests, [(0.0, "off"), (103.0, "shadow")], 2.0) == [
        {"at": 0.0, "stage": "off", "rps": 1.5, "p95": 10.0},
        {"at": 4.0, "stage": "shadow", "rps": 0.5, "p95": 10.0},
    ]
