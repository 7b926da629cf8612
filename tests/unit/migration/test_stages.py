"""Stages: a transition table that cannot lead astray, and what each stage means for traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.side import Side
from migration.stages import TRANSITIONS, PhaseRecord, Stage, backward, forward, traffic


def test_forward_passes_every_stage_in_order() -> None:
    walked = [Stage.OFF]
    while (move := forward(walked[-1])) is not None:
        walked.append(move.target)
    assert walked == list(Stage)


@pytest.mark.parametrize(
    ("stage", "back"),
    [
        (Stage.OFF, None),
        (Stage.DUAL_WRITE, Stage.OFF),
        (Stage.SHADOW, Stage.DUAL_WRITE),
        (Stage.RAMP, Stage.SHADOW),
        (Stage.LIVE, Stage.SHADOW),
        (Stage.COMPLETE, None),
    ],
)
def test_i8_every_stage_before_complete_has_one_way_back(stage: Stage, back: Stage | None) -> None:
    moves = [move for move in TRANSITIONS if move.source is stage and move.backward]
    assert [move.target for move in moves] == ([] if back is None else [back])
    assert (moved := backward(stage)) is None or moved.target is back


def test_only_the_switches_change_the_writer() -> None:
    changes = {
        (move.source, move.target)
        for move in TRANSITIONS
        if (move.source in {Stage.LIVE, Stage.COMPLETE}) != (move.writer is Side.SERVICE)
    }
    assert changes == {(Stage.RAMP, Stage.LIVE), (Stage.LIVE, Stage.SHADOW)}


@pytest.mark.parametrize(
    ("stage", "reads", "shadow", "fallback", "retired"),
    [
        (Stage.OFF, Side.MONOLITH, False, False, False),
        (Stage.DUAL_WRITE, Side.MONOLITH, False, False, False),
        (Stage.SHADOW, Side.MONOLITH, True, False, False),
        (Stage.RAMP, None, True, True, False),
        (Stage.LIVE, None, False, True, False),
        (Stage.COMPLETE, Side.SERVICE, False, False, True),
    ],
)
def test_traffic_of_each_stage(stage, reads, shadow, fallback, retired) -> None:
    carried = traffic(PhaseRecord("search", stage))
    assert (carried.reads, carried.shadow, carried.fallback, carried.retired) == (
        reads,
        shadow,
        fallback,
        retired,
    )


@given(st.sampled_from(Stage), st.sampled_from(Side), st.integers(1, 9), st.one_of(st.none(), st.just("run")))
def test_i1_writes_go_to_the_recorded_writer_whatever_the_stage(stage, writer, epoch, hold) -> None:
    carried = traffic(PhaseRecord("search", stage, writer, epoch, hold))
    assert (carried.writer, carried.split_writes) == (writer, False)
    assert (carried.epoch, carried.hold, carried.stage) == (epoch, hold, stage)


def test_i1_writes_are_split_only_when_the_record_says_so() -> None:
    record = PhaseRecord("search", Stage.RAMP, split=True)
    assert traffic(record).split_writes
    assert set(record.writers) == set(Side)
    assert PhaseRecord("search", Stage.RAMP, Side.SERVICE).writers == (Side.SERVICE,)
