"""A runbook: the steps that take a phase through its stages, read from a TOML file that a team may copy."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from migration.errors import PlanError, Problem
from migration.plan_lines import Place, key_lines
from migration.plan_source import Source, broken, problems
from migration.runbook_steps import KINDS, Step, Sync
from migration.stages import ORDER, Stage

TEMPLATES = Path(__file__).parent / "runbooks"
_KEYS = ("title", "about", "steps")


@dataclass(frozen=True, slots=True)
class Runbook:
    """The steps in order. ``about`` says for which kind of phase they are."""

    name: str
    file: Path
    title: str
    about: str
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    def behind(self, step: Step) -> Stage | None:
        """From which stage on the step is behind the phase: that to which the next move from it leads."""
        if isinstance(step, Sync):
            return Stage.SHADOW  # the stage comes first, the rows follow
        later = self.steps[self.steps.index(step) :]
        return next((each.to for each in later if each.to is not None), None)

    def is_behind(self, step: Step, stage: Stage) -> bool:
        """Whether a phase in ``stage`` has passed the step, by whatever way."""
        behind = self.behind(step)
        return behind is not None and ORDER.index(behind) <= ORDER.index(stage)


def templates() -> list[str]:
    """The names of the runbooks that come with the toolkit."""
    return sorted(file.stem for file in TEMPLATES.glob("*.toml"))


def locate(name: str, directory: Path) -> Path | None:
    """The file of the runbook that a plan in ``directory`` names; None when there is none."""
    if name in templates():
        return TEMPLATES / f"{name}.toml"
    file = directory / name
    return file if file.is_file() else None


def load(file: Path) -> Runbook:
    """Read and validate a runbook. Raises PlanError with everything that is wrong with it, line by line."""
    try:
        text = file.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(file, [Problem(None, "", f"the runbook cannot be read: {error}.")]) from error
    except tomllib.TOMLDecodeError as error:
        raise PlanError(file, [broken(str(error), text)]) from error
    source = Source(file, document, key_lines(text))
    found = list(_of_the_whole(source))
    steps: list[Step] = []
    for number, given in enumerate(document.get("steps", ()) if not found else ()):
        step, wrong = _step(source, number, given)
        found += wrong
        steps += [] if step is None else [step]
    found += _of_the_order(source, steps) if not found else []
    if found:
        raise PlanError(file, found)
    return Runbook(file.stem, file, document["title"], document["about"], tuple(steps))


def _of_the_whole(source: Source) -> Sequence[Problem]:
    document = source.document
    wrong = [
        source.problem((key,), f"there is no such key. Known here: {', '.join(_KEYS)}.")
        for key in document
        if key not in _KEYS
    ]
    wrong += [
        Problem(source.lines.get((key,), 1), key, "is missing. Say it in a sentence.")
        for key in ("title", "about")
        if not isinstance(document.get(key), str) or not document[key].strip()
    ]
    steps = document.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        wrong.append(Problem(source.lines.get(("steps",)), "steps", "has no steps. Add [[steps]] tables."))
    return wrong


def _step(source: Source, number: int, given: Mapping[str, Any]) -> tuple[Step | None, list[Problem]]:
    place: Place = ("steps", number)
    kind = str(given.get("kind", ""))
    if kind not in KINDS:
        close = get_close_matches(kind, KINDS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(KINDS)}."
        said = f"{kind!r} is no kind of step" if kind else "is missing"
        return None, [source.problem((*place, "kind"), f"{said}. {hint}")]
    try:
        return KINDS[kind].model_validate(given), []
    except ValidationError as error:
        return None, problems(error, source, KINDS[kind], place)


def _of_the_order(source: Source, steps: Sequence[Step]) -> list[Problem]:
    wrong: list[Problem] = []
    reached, names = Stage.OFF, set[str]()
    for number, step in enumerate(steps):
        if step.name in names:
            text = f"there is a step {step.name!r} already. Give each its own name."
            wrong.append(source.problem(("steps", number, "name"), text))
        names.add(step.name)
        if step.to is None or step.to is reached:
            continue
        if ORDER.index(step.to) != ORDER.index(reached) + 1:
            text = (
                f"leads to {step.to}, but the steps before it lead to {reached}. "
                f"The stages follow each other: {' → '.join(ORDER)}."
            )
            key = "stage" if "stage" in type(step).model_fields else "kind"
            wrong.append(source.problem(("steps", number, key), text))
        reached = step.to
    return wrong
