"""The reference says what the program has: each command with its options, each key of the plan."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from migration.gates import CheckFact, ConsentFact, Facts, Limits, gates
from migration.plan import Plan
from migration.plan_check import Check, Invariant
from migration.plan_columns import ColumnRule, ReverseRule
from migration.plan_flags import Cohorts, Flags, Unleash
from migration.plan_gates import Gates, Guard, Hook, Ramp
from migration.plan_gateway import Aggregate, Health, Override, Pair, RateLimit, ServerTls, Tokens
from migration.plan_kafka import Kafka
from migration.plan_sections import (
    Control,
    Facade,
    Monolith,
    Phase,
    Relay,
    Route,
    Service,
    Table,
    Timeouts,
)
from migration.plan_shadow import Keep, Shadow, ShadowRoute
from migration.read_answers import Answers, Both
from migration.stages import TRANSITIONS, Stage
from tests.acceptance import cli_reference
from tests.acceptance.pages import REPOSITORY, section

REFERENCE = REPOSITORY / "docs" / "reference"
SECTIONS: dict[str, type[BaseModel]] = {
    "[monolith]": Monolith,
    "[control]": Control,
    "[facade]": Facade,
    "[facade.timeouts]": Timeouts,
    "[facade.rate_limit], [phases.rate_limit]": RateLimit,
    "[facade.jwt]": Tokens,
    "[facade.override]": Override,
    "[[facade.aggregates]]": Aggregate,
    "[monolith.health], [phases.service.health]": Health,
    "[facade.tls]": Pair,
    "[monolith.tls], [phases.service.tls]": ServerTls,
    "[relay]": Relay,
    "[flags]": Flags,
    "[flags.unleash]": Unleash,
    "[kafka]": Kafka,
    "[[phases]]": Phase,
    "[phases.service]": Service,
    "[phases.cohorts]": Cohorts,
    "phases.routes": Route,
    "[[phases.tables]]": Table,
    "phases.tables.columns": ColumnRule,
    "[[phases.invariants]]": Invariant,
    "phases.tables.reverse": ReverseRule,
    "[phases.shadow]": Shadow,
    "[phases.shadow.routes]": ShadowRoute,
    "[phases.shadow.keep]": Keep,
    "[phases.check]": Check,
    "[phases.gates]": Gates,
    "[[phases.gates.hooks]]": Hook,
    "[phases.ramp]": Ramp,
    "[phases.guard]": Guard,
}

FACTS = Facts(
    phase="items",
    moves_data=True,
    reads=True,
    backfilled=True,
    lag_changes=0,
    lag_seconds=0.0,
    parked=0,
    trouble=None,
    check=CheckFact(clean=True, rows=1, findings=0, age_seconds=0.0),
    compared=100,
    matched=100,
    mirrored=10_000,
    workers=2,
    late_workers=(),
    irreversible=None,
    invariants=("total",),
    stage=Stage.RAMP,
    taken_back="it failed.",
    answers=Both(Answers(100, 0, {1.0: 100}), Answers(100, 0, {1.0: 100})),
    consent=ConsentFact("live", needed=1, confirmed={"the date is known": None}),
)


def test_the_command_line_is_described_as_it_is() -> None:
    """To mend: python -m tests.acceptance.cli_reference > docs/reference/cli.md"""
    assert (REFERENCE / "cli.md").read_text(encoding="utf-8") == cli_reference.page()


@pytest.mark.parametrize("title", SECTIONS)
def test_each_key_of_the_plan_is_described_with_its_default(title: str) -> None:
    said = dict(_rows(section(REFERENCE / "plan.md", title)))
    fields = SECTIONS[title].model_fields
    assert set(said) == set(fields)
    for name, field in fields.items():
        if name == "service" and title == "[[phases.tables]]":
            continue  # its default is another key's value
        assert said[name] == _default(field.get_default(call_default_factory=True)), f"{title} {name}"


def test_no_section_of_the_plan_is_left_out() -> None:
    described: set[type[BaseModel]] = {*SECTIONS.values(), Plan}
    for model in described:
        for field in model.model_fields.values():
            assert set(_models(field.annotation)) <= described, f"{model.__name__}: {field}"


def test_each_move_and_each_gate_is_described() -> None:
    stages, page = REFERENCE / "stages.md", REFERENCE / "gates.md"
    moves = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section(stages, "Moves"), re.MULTILINE)
    assert set(moves) == {(str(move.source), str(move.target)) for move in TRANSITIONS}
    asked = dict(
        re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", section(page, "Which gates"), re.MULTILINE)
    )
    by_gate: dict[str, list[str]] = {}
    for target in Stage:
        for gate in gates(target, FACTS, Limits(soak={"ramp": 60.0}, min_reads=1)):
            by_gate.setdefault(gate.name, []).append(f"`{target}`")
    assert {name: stages.split(", ") for name, stages in asked.items()} == by_gate


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if found := re.fullmatch(r"\| `(\w+)` \|.*\| ?([^|]*?) ?\|", line):
            yield found[1], found[2]


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return ""
    if value is None:
        return "–"
    if isinstance(value, tuple | dict):
        return ", ".join(f"`{each}`" for each in value) or "none"
    text = getattr(value, "value", value)
    return f"`{str(text).lower() if isinstance(text, bool) else text}`"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)
