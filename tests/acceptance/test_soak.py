"""`make soak`, only shorter."""

import subprocess
import sys
from itertools import islice

import pytest

from tests.acceptance.command import CHECKOUT
from tests.soak.faults import KINDS, faults
from tests.soak.tally import Tally

MINUTES = "0.3"
SEED = "3"


def test_a_seed_tells_the_faults() -> None:
    once, again, other = (list(islice(faults(seed), 40)) for seed in (7, 7, 8))
    assert once == again != other
    assert {fault.kind for fault in once[: len(KINDS)]} == set(KINDS)


@pytest.mark.parametrize(
    "found",
    [{"lost": 1}, {"doubled": 1}, {"left": 1}, {"wrong": ["the two sides differ"]}, {"acknowledged": 0}],
)
def test_the_verdict_is_bad_when_anything_is(found) -> None:
    assert str(Tally(7, acknowledged=1)).startswith("passed: seed 7")
    assert str(Tally(7, **{"acknowledged": 1, **found})).startswith("FAILED: seed 7")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("postgresql_programs", "patience")
def test_i2_a_short_soak_loses_nothing() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", MINUTES, "--seed", SEED, "--users", "6"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = done.stdout.splitlines()[-1]
    assert verdict.startswith(f"passed: seed {SEED}"), verdict
    assert "0 lost, 0 doubled" in verdict
    assert "0 guards left" in verdict
