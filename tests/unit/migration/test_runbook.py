"""Runbooks as files: the ones that come with the toolkit, and what is wrong with others."""

from pathlib import Path

import pytest

from migration.errors import PlanError
from migration.runbook import TEMPLATES, Runbook, load, locate, templates
from migration.runbook_steps import KINDS, Run
from migration.runbook_words import PLACEHOLDERS, placeholders
from migration.stages import Stage

HEAD = 'title = "Small"\nabout = "A test."\n'
DOCTOR = '[[steps]]\nname = "doctor"\nkind = "doctor"\n'


@pytest.fixture(params=templates())
def template(request: pytest.FixtureRequest) -> Runbook:
    return load(TEMPLATES / f"{request.param}.toml")


def test_there_is_a_template_for_each_usual_kind_of_phase() -> None:
    assert templates() == ["auth-session", "background-jobs", "read-mostly", "write-heavy"]


def test_each_template_leads_from_off_to_complete(template: Runbook) -> None:
    stages = [step.to for step in template.steps if step.to is not None]
    assert stages == [Stage.DUAL_WRITE, Stage.SHADOW, Stage.RAMP, Stage.LIVE, Stage.COMPLETE]


def test_each_template_checks_before_each_step_that_asks_for_a_check(template: Runbook) -> None:
    checked = False
    for step in template.steps:
        if step.kind == "check":
            checked = True
        elif step.to in {Stage.RAMP, Stage.LIVE, Stage.COMPLETE}:
            assert checked, step.name
            checked = False


def test_each_template_asks_before_it_lets_go(template: Runbook) -> None:
    kinds = [step.kind for step in template.steps]
    assert "confirm" in kinds[kinds.index("complete") - 2 : kinds.index("complete")]


def test_steps_are_behind_by_the_next_move() -> None:
    runbook = load(TEMPLATES / "read-mostly.toml")
    behind = {step.name: runbook.behind(step) for step in runbook.steps}
    assert behind["doctor"] is Stage.DUAL_WRITE
    assert behind["copy"] is behind["check-copy"] is behind["shadow"] is Stage.SHADOW
    assert behind["reads-10"] is behind["live"] is Stage.LIVE
    assert behind["complete"] is Stage.COMPLETE
    doctor = runbook.steps[0]
    assert not runbook.is_behind(doctor, Stage.OFF)
    assert runbook.is_behind(doctor, Stage.RAMP)
    last = load(TEMPLATES / "auth-session.toml")
    assert not last.is_behind(last.steps[-1], Stage.COMPLETE)


def test_a_copy_beside_the_plan_is_found(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(HEAD + DOCTOR)
    assert locate("own.toml", tmp_path) == tmp_path / "own.toml"
    assert locate("read-mostly", tmp_path) == TEMPLATES / "read-mostly.toml"
    assert locate("read-mosly", tmp_path) is None


def test_own_words_take_the_place_of_a_kinds_own(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(HEAD + DOCTOR + 'why = """\nBecause\nit must."""\n')
    [step] = load(file).steps
    assert (step.title, step.why) == ("Can the plan run?", "Because it must.")


def test_commands_are_filled_word_by_word(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    commands = 'do = ["./jobs", "{phase}"]\nverify = ["true"]\nundo = ["./jobs", "resume"]\n'
    file.write_text(f'{HEAD}[[steps]]\nname = "jobs"\nkind = "run"\ntitle = "t"\nwhy = "w"\n{commands}')
    [step] = load(file).steps
    assert isinstance(step, Run)
    assert step.command(lambda text: text.replace("{phase}", "a b")) == "./jobs 'a b'"
    assert step.back == "`./jobs resume`"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("title = ", 1, "is not TOML"),
        ('title = "x"\n' + DOCTOR, 1, "about: is missing"),
        (HEAD, None, "steps: has no steps"),
        (HEAD + 'stepz = 1\n[[steps]]\nname = "a"\nkind = "doctor"', 3, "stepz: there is no such key"),
        (HEAD + '[[steps]]\nname = "a"\nkind = "chek"', 5, "'chek' is no kind of step. Did you mean 'check'"),
        (HEAD + '[[steps]]\nname = "a"', 3, "kind: is missing. There are: doctor"),
        (HEAD + DOCTOR + 'whi = "x"', 6, "whi: there is no such key. Did you mean 'why'"),
        (HEAD + DOCTOR + 'why = "of {fase}"', 6, "{fase} is no value of a phase. There are: {phase}"),
        (HEAD + DOCTOR + 'why = "of {"', 6, "Write {{ and }} for braces"),
        (HEAD + DOCTOR + DOCTOR, 7, "there is a step 'doctor' already"),
        (HEAD + '[[steps]]\nname = "A b"\nkind = "doctor"', 4, "name: string should match"),
        (HEAD + '[[steps]]\nname = "a"\nkind = "ramp"', 3, "the step ramps nothing"),
        (HEAD + '[[steps]]\nname = "a"\nkind = "ramp"\nreads = 101', 6, "reads: input should be less"),
        (HEAD + '[[steps]]\nname = "a"\nkind = "soak"\nlasts = "soon"', 6, "'soon' is no length of time"),
        (
            HEAD + '[[steps]]\nname = "a"\nkind = "confirm"\ntitle = "t"\nwhy = "w"\nexpect = "e"',
            3,
            "back: is missing",
        ),
        (
            HEAD + '[[steps]]\nname = "a"\nkind = "run"\ntitle = "t"\nwhy = "w"\n'
            'do = ["x"]\nverify = ["y"]\nback = "b"',
            3,
            "undo: is missing",
        ),
        (
            HEAD + '[[steps]]\nname = "a"\nkind = "advance"\nstage = "of"',
            6,
            "'of' is no stage",
        ),
        (
            HEAD + '[[steps]]\nname = "a"\nkind = "advance"\nstage = "ramp"',
            6,
            "leads to ramp, but the steps before it lead to off",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text, line, message) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(PlanError) as caught:
        load(file)
    place = str(file) if line is None else f"{file}:{line}"
    assert str(caught.value).startswith(f"{place}: "), str(caught.value)
    assert message in str(caught.value)


def test_a_kinds_own_words_speak_of_known_values_only() -> None:
    for kind in KINDS.values():
        for text in kind.texts.values():
            assert set(placeholders(text)) <= set(PLACEHOLDERS)
