"""Noise is told from faults that hide in it, request by request."""

import tomllib
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.noisy import ROUTE, STRUCTURAL, VALUES, Noisy, answer, calibrated
from facade.calibrate import calibrate
from facade.compare import Rules, compare
from facade.compare_location import Asked
from facade.compare_rules import Rule, RuleKind
from facade.noise import FieldNoise, Noise, Traits
from migration.calibration import FieldJudgement, Judgement, judge_noise, mcnemar
from migration.plan_shadow import Shadow
from migration.suggestions import Suggestion, suggest, suggested, to_toml

PLACE = "$.state"


def world(rate: float, pairs: int, fault: Callable[[Random, str], Any], seed: int = 3) -> Noise:
    """Pairs in which ``state`` is a fresh token in ``rate`` of the answers; ``fault`` is what the service
    makes of it."""
    chance, noise = Random(seed), Noise()

    def state() -> str:
        return chance.randbytes(8).hex() if chance.random() < rate else "00c0ffee00c0ffee"

    for number in range(pairs):
        primary, again = ({"id": number, "state": state()} for _ in range(2))
        shadow = {"id": number, "state": fault(chance, state())}
        pair = calibrate(answer(primary), answer(again), answer(shadow), Rules(), Asked())
        noise.add(pair.monolith, pair.service)
    return noise


def diffy(noise: Noise, path: str) -> bool:
    """Whether Twitter's Diffy would show the field: its differences are counted, of the raw pairs and of the
    noise, and shown from 20 % of relative and 0.03 % of absolute difference on."""
    raw = sum(found.both + found.service for place, found in noise.fields.items() if place[0] == path)
    itself = sum(found.both + found.monolith for place, found in noise.fields.items() if place[0] == path)
    relative = 100 * abs(raw - itself) / (raw + itself) if raw + itself else 0.0
    return relative > 20 and 100 * abs(raw - itself) / noise.pairs > 0.03


def judgements(noise: Noise) -> dict[str, Judgement]:
    return {field.kind: field.judgement for field in judge_noise({ROUTE: noise}) if field.path == PLACE}


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8, 1.0])
def test_another_type_in_three_percent_is_found_in_any_noise(rate: float) -> None:
    noise = world(rate, 1000, lambda chance, text: len(text) if chance.random() < 0.03 else text)
    assert judgements(noise) == {"value": Judgement.NOISE, "type": Judgement.FAULT}
    assert not diffy(noise, PLACE)


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.8, 1.0])
def test_a_broken_value_in_three_percent_is_found_by_the_rule_that_the_noise_suggests(rate: float) -> None:
    noise = world(rate, 1000, lambda chance, text: text[:-1] if chance.random() < 0.03 else text)
    assert not diffy(noise, PLACE)
    (suggestion,) = suggest(judge_noise({ROUTE: noise}), Rules())
    assert suggestion.rule == Rule(RuleKind.SHAPE, PLACE, "token")
    rules = suggested(Rules(), [suggestion]).of(ROUTE)
    for text in ("00c0ffee00c0ffe", "", "None"):
        assert compare(answer({"state": "00c0ffee00c0ffee"}), answer({"state": text}), rules).differences
    assert not compare(answer({"state": "00c0ffee00c0ffee"}), answer({"state": "0" * 16}), rules).differences


def test_a_wrong_value_of_the_right_shape_is_found_where_there_are_more_of_them_than_noise_explains() -> None:
    noise = world(
        0.2, 2000, lambda chance, text: chance.randbytes(8).hex() if chance.random() < 0.1 else text
    )
    assert judgements(noise) == {"value": Judgement.FAULT}
    assert not diffy(noise, PLACE)
    assert suggest(judge_noise({ROUTE: noise}), Rules()) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_service_no_worse_than_the_monolith_is_not_blamed(seed: int) -> None:
    noise = world(0.5, 300, lambda _, text: text, seed)
    assert judgements(noise) == {"value": Judgement.NOISE}


def test_what_the_monolith_does_to_structure_is_shown_and_never_excused() -> None:
    noise = Noise()
    for number in range(200):
        odd = {} if number % 2 else {"note": 1}
        pair = calibrate(
            answer({"note": 1}), answer(odd), answer({}, status=500 if number % 4 else 200), Rules(), Asked()
        )
        noise.add(pair.monolith, pair.service)
    judged = judge_noise({ROUTE: noise})
    found = {(field.path, field.kind): field.judgement for field in judged}
    assert found["$.note", "missing"] is Judgement.UNSTABLE
    assert found["status", "status"] is Judgement.FAULT
    assert suggest(judged, Rules()) == []


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemars_chance_is_a_binomial_tail(service: int, monolith: int) -> None:
    chance = mcnemar(service, monolith)
    assert 0 < chance <= 1
    more = mcnemar(service + 1, monolith)
    assert more < chance or more > 1 - 1e-12  # that close to certainty both are the same number
    assert chance == pytest.approx(1 - mcnemar(monolith + 1, service - 1) if service else 1.0, abs=1e-9)


def test_mcnemars_chance_goes_on_where_it_is_no_longer_exact() -> None:
    assert mcnemar(540, 460) == pytest.approx(mcnemar(541, 461), rel=0.05)
    assert mcnemar(4, 0) == 1 / 16


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30), st.integers(0, 30))
def test_noise_counted_in_parts_is_the_same(pairs: list[tuple[bool, bool]], cut: int) -> None:
    place = ("$.a", "value")

    def counted(part: list[tuple[bool, bool]]) -> Noise:
        noise = Noise()
        for monolith, service in part:
            noise.add({place: Traits(1)} if monolith else {}, {place} if service else set())
        return noise

    merged = counted(pairs[:cut])
    merged.merge(counted(pairs[cut:]))
    assert merged == counted(pairs)
    assert merged.pairs == len(pairs)
    found = merged.fields.get(place, FieldNoise())
    assert found.both + found.monolith == merged.noisy == sum(monolith for monolith, _ in pairs)
    assert found.both + found.service == sum(service for _, service in pairs)


def test_rules_are_as_tight_as_the_noise() -> None:
    rules = {rule.path: (rule.kind, rule.argument) for rule in calibrated(200).rules}
    (seconds, took), score = (
        (rules[f"$.meta.{name}"][1] for name in ("served_at", "took_ms")),
        rules["$.score"],
    )
    assert {path: kind for path, (kind, _) in rules.items()} == {
        "$.related": "unordered",
        "$.score": "tolerance",
        "$.meta.request_id": "shape",
        "$.meta.served_at": "tolerance",
        "$.meta.took_ms": "tolerance",
        "$.meta.csrf": "shape",
    }
    assert (rules["$.meta.request_id"][1], rules["$.meta.csrf"][1]) == ("uuid", "token")
    assert 2 < int(seconds.removesuffix("s")) <= 6
    assert 39 <= int(took) <= 3 * 39 + 9
    assert score[1].endswith("%")
    assert 2 < float(score[1].removesuffix("%")) <= 6.1


def test_after_calibration_the_monolith_agrees_with_itself_and_faults_are_found() -> None:
    rules, monolith, chance = calibrated(300), Noisy(99), Random(5)
    pairs = [[monolith.document(number) for _ in range(2)] for number in range(600)]
    assert not any(compare(answer(one), answer(other), rules).differences for one, other in pairs)
    for name, fault in STRUCTURAL.items():
        one, other = chance.choice(pairs)
        broken = {
            **other,
            "meta": dict(other["meta"]),
            "tags": [*other["tags"]],
            "related": [*other["related"]],
        }
        fault(broken)
        kinds = {each.kind for each in compare(answer(one), answer(broken), rules).differences}
        assert kinds & {"missing", "extra", "type"}, name
    found = 0
    for fault in VALUES.values():
        for one, other in chance.sample(pairs, 20):
            broken = {**other, "meta": dict(other["meta"])}
            fault(broken)
            found += bool(compare(answer(one), answer(broken), rules).differences)
    assert found >= 0.95 * 20 * len(VALUES)


def field(path: str = "$.a", kind: str = "value", **traits: Any) -> FieldJudgement:
    return FieldJudgement(
        ROUTE, path, kind, 100, 50, 49, 20, 19, 0.6, Judgement.NOISE, Traits(**{"values": 10, **traits})
    )


@pytest.mark.parametrize(
    ("noisy", "rule"),
    [
        (field(kind="order"), "unordered $.a"),
        (field(times=10, seconds=0.4), "tolerance $.a 5s"),
        (field(times=10, seconds=90000.0, shapes={"time": 10, "text": 10}), "shape $.a time"),
        (field(numbers=10, distance=0.02, share=0.001), "tolerance $.a 0.30%"),
        (field(numbers=10, distance=7.0, share=0.9), "tolerance $.a 21"),
        (field(numbers=10, distance=1234.0, share=0.9), "tolerance $.a 3800"),
        (field(shapes={"url": 10, "token": 9, "text": 10}), "shape $.a url"),
        (field(shapes={"text": 10}), "shape $.a text"),
        (field(shapes={"text": 9}), None),
        (field(numbers=10, mixed=2, distance=7.0, share=0.9), "tolerance $.a 21, number_form $.a"),
        (field(numbers=9, distance=1.0, share=0.1), None),
        (field("header:etag", "header"), None),
        (field("$['[redacted email]']", shapes={"text": 10}), None),
    ],
)
def test_the_tightest_rule_that_would_have_held_is_suggested(noisy: FieldJudgement, rule: str | None) -> None:
    assert ", ".join(str(each.rule) for each in suggest([noisy], Rules())) == (rule or "")


def test_what_the_plan_has_is_not_suggested_again() -> None:
    has = Rules(routes={ROUTE: (Rule(RuleKind.UNORDERED, "$.a"),)})
    assert suggest([field(kind="order")], has) == []


def test_suggestions_are_toml_that_the_plan_reads_back() -> None:
    suggestions = [
        Suggestion(ROUTE, Rule(RuleKind.UNORDERED, "$.a"), field(kind="order")),
        Suggestion(ROUTE, Rule(RuleKind.UNORDERED, "$['it\\'s \"b\"']"), field(kind="order")),
        Suggestion(ROUTE, Rule(RuleKind.TOLERANCE, "$.n[*].ü", "5s"), field()),
        Suggestion('GET /"x"', Rule(RuleKind.SHAPE, "$.id", "uuid"), field()),
    ]
    read = tomllib.loads(to_toml(suggestions))
    shadow = Shadow.model_validate(read["phases"]["shadow"])
    assert shadow.rules().routes == {
        ROUTE: (suggestions[2].rule, suggestions[0].rule, suggestions[1].rule),
        'GET /"x"': (suggestions[3].rule,),
    }
    assert "50 of 100 (40.38 % to 59.62 %), the service in 49; p = 0.6" in to_toml(suggestions)
