"""The table has a row for every result, and the JSON can be left in a file."""

import json
from pathlib import Path

from benchmarks.facade import ROWS, summary
from benchmarks.measures import Measured
from benchmarks.rounds import Options, Samples, emit

MEASURED = [
    Measured(
        "One core", "requests/s", Samples({"facade": (3.0, 1.0, 2.0)}), {"vs_envoy": 1.5, "vs_nginx": None}
    ),
    Measured(
        "p99", "ms", Samples({"envoy": (4.0,)}), {"p99_vs_envoy": 0.5}, missing=("nginx is not installed",)
    ),
]


def test_the_summary_has_all_results_and_medians() -> None:
    document = summary(MEASURED)
    assert document["vs_envoy"] == 1.5
    assert document["vs_nginx"] is None
    assert document["p99_vs_envoy"] == 0.5
    assert document["medians"] == {"One core, requests/s": {"facade": 2.0}, "p99, ms": {"envoy": 4.0}}
    assert document["missing"] == ["nginx is not installed"]


def test_no_name_is_twice_in_the_table() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


def test_a_file_gets_the_document(tmp_path: Path) -> None:
    file = tmp_path / "facade.json"
    emit(summary(MEASURED), Options.parse("", ["--json", str(file)]))
    assert json.loads(file.read_text())["vs_envoy"] == 1.5
