from flags.side import Side
from migration.relaying import directions
from migration.stages import PhaseRecord, Stage

THERE, BACK = Side.SERVICE, Side.MONOLITH


def record(stage: Stage, *, split: bool = False) -> PhaseRecord:
    moved = stage in {Stage.LIVE, Stage.COMPLETE}
    return PhaseRecord("search", stage, Side.SERVICE if moved else Side.MONOLITH, split=split)


def test_moved_tables_flow_from_the_writer_and_not_at_all_at_the_ends() -> None:
    flows = {stage: directions(record(stage), follows=False) for stage in Stage}
    assert flows == {
        Stage.OFF: [],
        Stage.DUAL_WRITE: [THERE],
        Stage.SHADOW: [THERE],
        Stage.RAMP: [THERE],
        Stage.LIVE: [BACK],
        Stage.COMPLETE: [],
    }


def test_tables_that_follow_the_monolith_go_on_following_it() -> None:
    flows = {stage: directions(record(stage), follows=True) for stage in Stage}
    assert flows[Stage.OFF] == []
    assert flows[Stage.RAMP] == [THERE]
    assert flows[Stage.LIVE] == [BACK, THERE]
    assert flows[Stage.COMPLETE] == [THERE]


def test_while_writes_are_split_changes_flow_both_ways() -> None:
    split = record(Stage.RAMP, split=True)
    assert set(directions(split, follows=False)) == {THERE, BACK}
    assert sorted(directions(split, follows=True)) == sorted([THERE, BACK])
