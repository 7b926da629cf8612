import pytest

from migration.runbook import STEPS, lines, render
from migration.stages import ORDER, Stage


@pytest.mark.parametrize("stage", Stage)
def test_one_step_is_next_and_those_before_it_are_done(stage: Stage) -> None:
    states = [line.state for line in lines(stage)]
    done = states.count("done")
    assert states[:done] == ["done"] * done
    assert states[done:] == (
        [] if stage is Stage.COMPLETE else ["next", *["later"] * (len(STEPS) - done - 1)]
    )


def test_steps_are_behind_in_their_order() -> None:
    behind = [ORDER.index(step.behind) for step in STEPS]
    assert behind == sorted(behind)


@pytest.mark.parametrize(
    ("stage", "command"),
    [
        (Stage.OFF, "strangler doctor {phase}"),
        (Stage.DUAL_WRITE, "strangler sync {phase}"),
        (Stage.SHADOW, "strangler advance {phase}  # → ramp"),
        (Stage.RAMP, "strangler ramp {phase} --reads 10  # then 50, then 100"),
        (Stage.LIVE, "strangler complete {phase}"),
    ],
)
def test_what_is_next(stage: Stage, command: str) -> None:
    assert next(line.step.command for line in lines(stage) if line.state == "next") == command


def test_the_page_is_filled() -> None:
    page = render("search", Stage.RAMP, [("writer", "monolith (epoch 1)")], [("check", False, "too old")])
    assert page.startswith("# Runbook: phase `search`\n")
    assert "| writer | monolith (epoch 1) |" in page
    assert "- [ ] check: too old" in page
    assert "## 6. Raise the reads ← next" in page
    assert "## 1. Can the plan run? ✔" in page
    assert "{" not in page
