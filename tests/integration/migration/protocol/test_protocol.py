"""The fenced switch as a protocol: thousands of orders in which everybody's acts can follow each other.

The transitions, journal, lease, reconciler and relay are the real ones, on a control database in memory; the
two databases, the facade's workers and their clients are modelled. A seed tells one order.
"""

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import pytest

from migration import guards
from migration.lease import Lease
from migration.procedure import Step
from migration.switch import Switch
from tests.integration.migration.protocol.clients import InvariantError
from tests.integration.migration.protocol.control import ModelControl
from tests.integration.migration.protocol.data import ModelReplication
from tests.integration.migration.protocol.explore import Explored, explore
from tests.integration.migration.protocol.model import FAULTS, FAULTS_OF_CONTROLLERS
from tests.integration.migration.worlds import write_plan

INTERLEAVINGS = 10_000
PROCESSES = min(2, os.cpu_count() or 1)
MUTANT_SEEDS = range(1_500)


@pytest.fixture(scope="module")
def control() -> Iterator[ModelControl]:
    made = ModelControl()
    yield made
    made.close()


def explore_share(directory: Path, seeds: range) -> Explored:
    """In a process of its own."""
    control = ModelControl()
    try:
        return explore(control, write_plan(directory), seeds)
    finally:
        control.close()


@pytest.mark.timeout(600)
def test_i1_i2_i3_i4_i7_hold_in_ten_thousand_interleavings(tmp_path, capsys) -> None:
    shares = [range(first, INTERLEAVINGS, PROCESSES) for first in range(PROCESSES)]
    directories = [tmp_path / str(number) for number in range(PROCESSES)]
    for directory in directories:
        directory.mkdir()
    with multiprocessing.get_context("forkserver").Pool(PROCESSES) as pool:
        explored = pool.starmap(explore_share, zip(directories, shares, strict=True))
    interleavings = set[bytes]().union(*(each.interleavings for each in explored))
    ends = sum((each.ends for each in explored), Counter())
    acts = sum(each.acts for each in explored)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(interleavings)} interleavings of {acts} acts\n")
    assert len(interleavings) >= INTERLEAVINGS
    assert {fault for fault, _ in ends} == set(FAULTS)
    # Whoever dies, stands still or fails does so on both sides of the point of no return.
    for fault in FAULTS_OF_CONTROLLERS:
        met = "/".join(end for struck, end in ends if struck == fault)
        assert "finished" in met, fault
        assert "cancelled" in met, fault


def test_a_seed_tells_the_order(control, tmp_path) -> None:
    plan = write_plan(tmp_path)
    once, again = (explore(control, plan, range(30)) for _ in range(2))
    assert once == again


def without(name: str) -> type[Switch]:
    """A switch that leaves out what a step does."""

    class Mutant(Switch):
        steps = tuple(Step(step.name, lambda _: {}) if step.name == name else step for step in Switch.steps)

    return Mutant


def exchanged(one: str, other: str) -> type[Switch]:
    """A switch that makes two steps in the wrong order."""
    by_name = {step.name: step for step in Switch.steps}
    order = {one: by_name[other], other: by_name[one]}

    class Mutant(Switch):
        steps = tuple(order.get(step.name, step) for step in Switch.steps)

    return Mutant


class Uncancelled(Switch):
    """Leaves the loser's guard when it is cancelled."""

    def cancel(self) -> None:
        with patch.object(ModelReplication, "unguard"):
            super().cancel()


MUTANTS = {
    "no fence": (without("hold"), patch.object(Switch, "_remaining", lambda _: 1.0)),
    "no guard": (without("guard"), nullcontext()),
    "no drain": (without("drain"), nullcontext()),
    "no hand-over": (without("hand_over"), nullcontext()),
    "drain before guard": (exchanged("guard", "drain"), nullcontext()),
    "publish before unguard": (exchanged("reverse", "publish"), nullcontext()),
    "unguard before drain": (exchanged("drain", "reverse"), nullcontext()),
    "a cancelled switch stays guarded": (Uncancelled, nullcontext()),
    "the lease is not looked at again": (Switch, patch.object(Lease, "hold", lambda _, __: None)),
    "nobody straightens": (Switch, patch.object(guards, "_astray", lambda *_: False)),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_model_finds(control, tmp_path, mutant) -> None:
    """Were the protocol so, an invariant would break: what the model proves, it could have refuted."""
    switch, damage = MUTANTS[mutant]
    with damage, patch("migration.transitions.Switch", switch), pytest.raises(InvariantError) as found:
        explore(control, write_plan(tmp_path), MUTANT_SEEDS, switch=switch, lenient=True)
    assert str(found.value).startswith("seed ")
