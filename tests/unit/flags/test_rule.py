import json
from typing import Any

import pytest
from yggdrasil_engine.engine import UnleashEngine

from flags.context import Context
from flags.document import Feature, gradual, inlined, parse_features, with_share
from flags.errors import FlagError
from flags.percent import FULL
from flags.rollout import bucket
from flags.rule import OFF, Rule, compile_feature


def strategy(name: str = "flexibleRollout", **parameters: str) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def constrained(operator: str, **said: Any) -> dict[str, Any]:
    return {"name": "default", "constraints": [{"contextName": "tenant", "operator": operator, **said}]}


def feature(*strategies: dict[str, Any], **more: Any) -> Feature:
    return Feature.model_validate({"name": "f", "enabled": True, "strategies": list(strategies), **more})


def tenant(name: str) -> Context:
    return Context(user_id="ann", properties={"tenant": name})


def test_what_is_sticky_on_chance_is_drawn_at_each_look() -> None:
    rule = compile_feature(feature(strategy(rollout="40", stickiness="random")))
    draws = iter(range(99))
    inside = [rule.met(Context(user_id="ann", draw=lambda _: next(draws))) for _ in range(99)]
    assert inside == [bucket("f", str(number)) <= 40 for number in range(1, 100)]
    # By themselves 200 draws are alike once in 10^50 times.
    assert {rule.met(Context(user_id="ann")) for _ in range(200)} == {True, False}


def test_a_flag_that_asks_for_a_key_alone_says_so() -> None:
    by_key = compile_feature(feature(strategy(rollout="10"), strategy("default")))
    assert by_key.rollouts is not None
    asking = [
        feature(constrained("IN", values=["acme"])),
        feature(strategy(rollout="10", stickiness="tenant")),
        feature(strategy("userWithId", userIds="ann")),
        feature(strategy(rollout="10"), dependencies=[{"feature": "g"}]),
    ]
    assert all(compile_feature(each).rollouts is None for each in asking)


def test_a_key_alone_is_asked_as_the_user_of_an_empty_context() -> None:
    rule = compile_feature(feature(strategy("userWithId", userIds="ann, bob")))
    assert rule.enabled("bob")
    assert not rule.enabled("eve")
    assert not rule.enabled(None)


def test_the_share_is_of_those_that_no_list_and_no_constraint_speaks_of() -> None:
    chosen = constrained("IN", values=["acme"])
    assert compile_feature(feature(chosen)).share == 0
    assert compile_feature(feature(chosen, strategy(rollout="12.5"))).share == 1250
    assert compile_feature(feature(strategy("userWithId", userIds="ann"), strategy("default"))).share == FULL


def test_who_is_in_by_a_list_or_a_constraint_stays_in_when_the_share_moves() -> None:
    chosen = [constrained("IN", values=["acme"]), strategy("userWithId", userIds="bob")]
    before = feature(*chosen, strategy("default"), strategy(rollout="50", groupId="theirs"))
    after = with_share(before, 0)
    rule = compile_feature(after)
    assert rule.met(tenant("acme"))
    assert rule.met(Context(user_id="bob"))
    assert not rule.met(tenant("other"))
    assert rule.share == 0
    assert with_share(after, 1000).strategies[-1].parameters["groupId"] == "theirs"


def test_a_flag_that_is_off_lets_nobody_in_and_is_off() -> None:
    off = compile_feature(feature(strategy("default"), enabled=False))
    assert (off.on, off.enabled("ann"), off.met(Context(user_id="ann"))) == (False, False, False)
    none = compile_feature(gradual("search.reads", 0))
    assert (none.on, none.enabled("ann")) == (True, False)
    assert not OFF.enabled("ann")


@pytest.mark.parametrize("operator", ["NUM_EQ", "DATE_AFTER", "SEMVER_GT", "STR_CONTAINS", "REGEX"])
@pytest.mark.parametrize("said", [{}, {"value": "x"}, {"values": []}])
def test_a_constraint_that_unleashs_engine_cannot_read_is_refused(
    operator: str, said: dict[str, Any]
) -> None:
    document = feature(constrained(operator, **said))
    engine = UnleashEngine()
    if operator != "REGEX":  # which it reads, in the regular expressions of another language
        engine.take_state(json.dumps({"version": 2, "features": [document.model_dump(exclude_none=True)]}))
        assert not engine.is_enabled("f", {"properties": {"tenant": "x"}}).is_enabled
    with pytest.raises(FlagError, match=f"flag 'f'.*'tenant'.*{operator}"):
        compile_feature(document)


def test_segments_are_written_out() -> None:
    acme = {"id": 7, "constraints": [{"contextName": "tenant", "operator": "IN", "values": ["acme"]}]}
    flag = {"name": "f", "enabled": True, "strategies": [{"name": "default", "segments": [7]}]}
    (alone,) = inlined(parse_features({"features": [flag], "segments": [acme]}))
    assert compile_feature(alone).met(tenant("acme"))
    assert not compile_feature(alone).met(tenant("other"))
    with pytest.raises(FlagError, match="segment 7, which is not in the document"):
        inlined(parse_features({"features": [flag]}))


def test_rules_are_equal_when_they_say_the_same() -> None:
    assert compile_feature(gradual("a.writes", 5000)) == compile_feature(gradual("a.writes", 5000))
    assert compile_feature(gradual("a.writes", 5000)) != compile_feature(gradual("a.writes", 5100))
    assert isinstance(compile_feature(gradual("a.writes", 5000)), Rule)
