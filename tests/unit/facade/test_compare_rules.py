import pickle

import pytest

from facade.compare import Rules
from facade.compare_paths import RuleError
from facade.compare_rules import Place, Rule, RuleKind, compile_rules


def ignoring(*paths: str) -> Place:
    return compile_rules(tuple(Rule(RuleKind.IGNORE, path) for path in paths))


def selected(rule: str, *steps: str | int) -> bool:
    place = ignoring(rule)
    for step in steps:
        place = place.item(step) if isinstance(step, int) else place.member(step)
    return place.ignore == f"ignore {rule}"


@pytest.mark.parametrize(
    ("rule", "steps", "hit"),
    [
        ("$", (), True),
        ("$.a", ("a",), True),
        ("$.a", ("a", "b"), False),
        ("$.a", ("b",), False),
        ("$.items[*].score", ("items", 7, "score"), True),
        ("$.items[*].score", ("items", "x", "score"), True),
        ("$.items[0]", ("items", 0), True),
        ("$.items[0]", ("items", 1), False),
        ("$.items[0]", ("items", "0"), False),
        ("$.*", ("anything",), True),
        ("$.*", (), False),
        ("$..at", ("at",), True),
        ("$..at", ("a", 3, "b", "at"), True),
        ("$..at", ("a", "at", "b"), False),
        ("$..at", ("at", "at"), True),
        ("$..items[*].id", ("x", "items", 0, "id"), True),
        ("$..*", ("a",), True),
    ],
)
def test_a_rule_selects_nodes_by_their_place(rule: str, steps: tuple[str | int, ...], hit: bool) -> None:
    assert selected(rule, *steps) is hit


def test_the_first_rule_of_several_that_say_the_same_of_a_node_counts() -> None:
    root = ignoring("$..id", "$.a.id")
    assert root.member("a").member("id").ignore == "ignore $..id"


def test_a_part_that_no_rule_can_reach_is_dead() -> None:
    root = ignoring("$.items[*].score")
    assert not root.dead
    assert root.member("total").dead
    assert compile_rules(()).dead


def test_rules_travel_to_another_process() -> None:
    rules = Rules(
        ignore=("$..took_ms",), headers=("etag",), routes={"GET /": (Rule(RuleKind.SHAPE, "$.id", "uuid"),)}
    )
    assert pickle.loads(pickle.dumps(rules)) == rules


@pytest.mark.parametrize(
    ("kind", "argument", "remedy"),
    [
        (RuleKind.TOLERANCE, "a bit", "'2s' between two times"),
        (RuleKind.TOLERANCE, "-1", "0.01"),
        (RuleKind.SHAPE, "uid", "integer, text, time, token, url, uuid"),
        (RuleKind.KEYED, "", "the name of a member"),
        (RuleKind.UNORDERED, "id", "nothing otherwise"),
    ],
)
def test_an_argument_that_is_not_understood_is_refused(kind: RuleKind, argument: str, remedy: str) -> None:
    with pytest.raises(RuleError, match=remedy):
        Rule(kind, "$.a", argument)


def test_a_route_has_rules_of_its_own_before_those_of_all() -> None:
    own, general = Rule(RuleKind.TOLERANCE, "$.a", "2"), Rule(RuleKind.TOLERANCE, "$.a", "1")
    rules = Rules(ignore=("$.b",), rules=(general,), routes={"GET /a": (own,)})
    assert rules.of("GET /b") == rules
    assert rules.of("GET /a").place().member("a").excuse(1, 2) == str(own)
    assert rules.place().member("a").excuse(1, 2) == str(general)
    assert {str(rule) for rule in rules.every()} == {"ignore $.b", str(own), str(general)}
