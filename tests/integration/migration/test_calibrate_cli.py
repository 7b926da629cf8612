"""``strangler calibrate``: pairs of several workers add up, and become rules that the plan reads."""

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from facade.evidence import ShadowCounts
from facade.noise import FieldNoise, Noise, Traits
from flags.store import EmbeddedStore
from migration.cli import main
from migration.control import Control
from migration.evidence import ControlEvidence, Retention
from migration.noise import FIELDS_KEPT, noise_of
from migration.plan import Plan
from migration.schema.observed import shadow_noise

PLAN = """
[monolith]
url = "http://127.0.0.1:9"
database = "sqlite:///monolith.db"
[[phases]]
name = "search"
routes = ["GET /items"]
[phases.service]
url = "http://127.0.0.1:9"
"""
ROUTE = "GET /items"

Running = Callable[..., tuple[int, str]]


@pytest.fixture
def control(tmp_path: Path):
    opened = Control.open(f"sqlite:///{tmp_path / '.strangler' / 'control.db'}")
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Running:
    (tmp_path / "strangler.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["strangler", "calibrate", "search", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(ended.value.code or 0), captured.out

    return run


def counted(**fields: FieldNoise) -> ShadowCounts:
    places = {(f"$.{name}", "value"): found for name, found in fields.items()}
    return ShadowCounts("search", ROUTE, noise=Noise(100, 40, places))


def volatile() -> FieldNoise:
    return FieldNoise(30, 10, 10, Traits(values=40, shapes={"uuid": 40, "text": 40}))


def test_pairs_of_all_workers_add_up(control: Control) -> None:
    evidence = ControlEvidence(control)
    for worker in ("a", "b"):
        evidence.record(worker, [counted(id=volatile()), ShadowCounts("search", "GET /users")], [])
    assert list(noise_of(control, "search", 0.0)) == [ROUTE]
    noise = noise_of(control, "search", 0.0)[ROUTE]
    assert (noise.pairs, noise.noisy) == (200, 80)
    found = noise.fields["$.id", "value"]
    assert (found.both, found.monolith, found.service) == (60, 20, 20)
    assert (found.traits.values, found.traits.shapes) == (80, {"uuid": 80, "text": 80})
    with control.read() as connection:
        now = control.now(connection)
    assert noise_of(control, "search", now + 60) == {}


def test_pairs_have_a_retention_and_fields_have_a_cap(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = {f"n{number}": FieldNoise(service=1) for number in range(FIELDS_KEPT + 5)}
    ControlEvidence(control).record("a", [counted(id=volatile(), **many)], [])
    fields = noise_of(control, "search", 0.0)[ROUTE].fields
    assert len(fields) == FIELDS_KEPT
    assert ("$.id", "value") in fields
    with control.read() as connection:
        later = control.now(connection) + 2 * 86_400
    monkeypatch.setattr(Control, "now", lambda *_: later)
    ControlEvidence(control, {"search": Retention(days=1.0)}).record("a", [counted()], [])
    assert noise_of(control, "search", 0.0)[ROUTE].pairs == 100


def test_old_pairs_become_one_row_an_hour(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    at = 3600.0 * 1000
    monkeypatch.setattr(Control, "now", lambda *_: at)
    for minute in (10, 20, 30, 70):
        at = 3600.0 * 1000 + 60 * minute
        ControlEvidence(control).record("a", [counted(id=volatile())], [])
    at += 2 * 86_400
    ControlEvidence(control).record("a", [counted()], [])
    with control.read() as connection:
        rows = connection.execute(select(shadow_noise.c.slot, shadow_noise.c.pairs).order_by("slot")).all()
    assert [tuple(row) for row in rows][:2] == [(3600 * 1000, 300), (3600 * 1001, 100)]
    assert noise_of(control, "search", 3600.0 * 1000)[ROUTE].fields["$.id", "value"].both == 120


def test_noise_becomes_rules_that_the_plan_reads(run: Running, control: Control, tmp_path: Path) -> None:
    ControlEvidence(control).record("a", [counted(id=volatile())], [])
    code, out = run("--json")
    assert code == 0
    told: dict[str, Any] = json.loads(out)
    assert (told["pairs"], told["noisy"], told["share"]) == (100, 40, "0")
    assert told["rules"] == [{"route": ROUTE, "kind": "shape", "path": "$.id", "argument": "uuid"}]
    (field,) = told["fields"]
    assert (field["judgement"], field["monolith"], field["service"]) == ("noise", 40, 40)
    assert 0.3 < field["monolith_interval"][0] < 0.4 < field["monolith_interval"][1] < 0.51
    (tmp_path / "strangler.toml").write_text(PLAN + told["toml"])
    (rule,) = Plan.load(tmp_path / "strangler.toml").phase("search").shadow.rules().of(ROUTE).rules
    assert str(rule) == "shape $.id uuid"
    assert json.loads(run("--json")[1])["rules"] == []


def test_a_fault_in_the_noise_is_a_finding(run: Running, control: Control) -> None:
    ControlEvidence(control).record("a", [counted(id=FieldNoise(30, 5, 45, Traits(values=35)))], [])
    code, out = run()
    assert code == 1
    assert "the service differs more often" in out
    assert "For the plan" not in out
    assert "It differed from itself in 40 of 100 pairs." in out


def test_the_share_is_a_flag_that_takes_effect_at_once(run: Running, control: Control) -> None:
    code, out = run("--share", "10")
    assert code == 0
    assert "asked 10 % of the mirrored reads of search twice" in out
    assert "No pairs yet" in out
    assert EmbeddedStore(control.engine).snapshot().share("search.calibrate") == 1000
    assert tomllib.loads(json.loads(run("--json")[1])["toml"]) == {}
