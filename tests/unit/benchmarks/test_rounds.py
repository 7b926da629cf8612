"""Rounds are interleaved, ratios are paired, and the last line is JSON."""

import json
import os
import subprocess
import sys
from functools import partial
from itertools import count

import pytest

from benchmarks.pinning import available, pinned
from benchmarks.rounds import Options, Samples, interleave, report


def test_every_round_starts_with_another_contender_and_the_warm_up_is_dropped() -> None:
    order: list[str] = []
    numbers = count(1)

    def contender(name: str) -> float:
        order.append(name)
        return float(next(numbers))

    samples = interleave({name: partial(contender, name) for name in "abc"}, rounds=2)

    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert samples.of == {"a": (6, 8), "b": (4, 9), "c": (5, 7)}


def test_a_ratio_is_paired_by_round() -> None:
    samples = Samples({"fast": (2.0, 20.0, 200.0), "slow": (1.0, 10.0, 100.0)})
    assert samples.ratio("fast", to="slow") == 2.0
    assert samples.median("fast") == 20.0


def test_the_interval_of_a_ratio_leaves_out_what_the_sign_test_can_spare() -> None:
    few = Samples({"ours": (1.0, 3.0, 2.0), "theirs": (1.0, 1.0, 1.0)})
    assert few.interval("ours", "theirs") == (1.0, 3.0)
    many = Samples({"ours": tuple(map(float, range(1, 22))), "theirs": (1.0,) * 21})
    # Of 21 tosses of a coin 5 or fewer are heads in 1.3 % of all cases, 6 or fewer in 3.9 %.
    assert many.interval("ours", "theirs") == (6.0, 16.0)


def test_the_last_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    options = Options.parse("", ["--json", "--quick"])
    report("Echo", Samples({"facade": (3.0,)}), "req/s", {"vs_envoy": 1.25, "errors": 0}, options)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert options.quick
    assert last["vs_envoy"] == 1.25
    assert last["errors"] == 0
    assert last["medians"] == {"facade": 3.0}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins processes to cores")
def test_children_started_in_the_block_stay_on_its_cores() -> None:
    before = available()
    with pinned(before[0]):
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
            capture_output=True,
            check=True,
            text=True,
        )
    assert child.stdout.strip() == str({before[0]})
    assert sorted(os.sched_getaffinity(0)) == before
