import pytest

from dual_write.check_result import CheckResult
from dual_write.mapping import TableMapping
from flags.side import Side
from migration.checking import CheckReport, flows_of
from migration.stages import PhaseRecord, Stage

MOVED = TableMapping("saved", "kept", ("id",), ("id",), (), ())
FOLLOWING = TableMapping("tags", "labels", ("id",), ("id",), (), (), follow=True)


def compared(record: PhaseRecord) -> dict[Side, list[str]]:
    flows = flows_of([MOVED, FOLLOWING], record)
    return {to: [f"{flow.source} → {flow.target}" for flow in of_side] for to, of_side in flows.items()}


def test_rows_are_compared_from_their_owner() -> None:
    before = compared(PhaseRecord("search", Stage.RAMP))
    assert before == {Side.SERVICE: ["saved → kept", "tags → labels"]}
    after = compared(PhaseRecord("search", Stage.LIVE, Side.SERVICE))
    assert after == {Side.MONOLITH: ["kept → saved"], Side.SERVICE: ["tags → labels"]}


def test_a_complete_phase_has_one_copy_of_what_moved() -> None:
    assert compared(PhaseRecord("search", Stage.COMPLETE, Side.SERVICE)) == {Side.SERVICE: ["tags → labels"]}


@pytest.mark.parametrize("complete", [True, False])
def test_a_check_that_stopped_early_is_not_clean(complete: bool) -> None:
    from datetime import UTC, datetime

    result = CheckResult((), datetime.now(UTC), 0.0, "all", complete)
    assert CheckReport("search", [(Side.SERVICE, result)]).clean is complete
