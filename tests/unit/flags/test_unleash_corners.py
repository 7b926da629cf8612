"""Corners in which our rules once answered otherwise than Unleash's engine, one by one."""

import json
from typing import Any

import pytest
from yggdrasil_engine.engine import UnleashEngine

from flags.document import inlined, parse_features
from flags.errors import FlagError
from flags.rule import compile_features
from tests.unit.flags.engine import compare, ours

USERS = [{"userId": f"user-{number}"} for number in range(30)]
EVERYBODY = {"name": "default"}


def flag(*strategies: dict[str, Any], name: str = "f", **more: Any) -> dict[str, Any]:
    return {"name": name, "enabled": True, "strategies": list(strategies), **more}


def half(**parameters: str) -> dict[str, Any]:
    return {"name": "flexibleRollout", "parameters": {"rollout": "50", **parameters}}


def asks(name: str, operator: str, **said: Any) -> dict[str, Any]:
    return {"name": "default", "constraints": [{"contextName": name, "operator": operator, **said}]}


def alike(contexts: list[dict[str, Any]], *features: dict[str, Any], **more: Any) -> list[bool]:
    """What both answer of the flag ``f``, having answered the same."""
    document = {"version": 2, "features": list(features), **more}
    engine = UnleashEngine()
    engine.take_state(json.dumps(document))
    rule = compile_features(inlined(parse_features(document)))["f"]
    for said in contexts:
        compare(engine, "f", rule, said)
    return [rule.met(ours(said)) for said in contexts]


@pytest.mark.parametrize(
    "said",
    [
        *("2022-1-29T13:00:00Z", "2022-01-29T1:0:0Z", "2022-01-29  13:00:00Z", "2022 - 01- 29T 13 : 00:00 Z"),
        *(
            " 2022-01-29T13:00:00Z ",
            "\u20032022-01-29T13:00:00Z",
            "2022-01-29T13:00:00UTC",
            "2022-01-29 13:00:00utc",
        ),
        *("2022-01-29T13:00:00+02 00", "2022-01-29T13:00:00-02 :: 00", "2022-01-29T13:00:00\u221202:00"),
        *("+2022-01-29T13:00:00Z", "+12022-01-29T13:00:00Z", "-1-01-29T13:00:00Z", "222-01-29T13:00:00Z"),
        *(
            "0000-02-29T00:00:00Z",
            "+262142-12-31T00:00:00Z",
            "+262143-01-01T00:00:00Z",
            f"+{'9' * 5000}-01-01T00:00:00Z",
        ),
        *("2022-01-29T12:59:60Z", "2022-01-29T12:59:60.5Z", "2022-01-29T13:00:00.Z", "02022-01-29T13:00:00Z"),
        *(
            "2022-01-29 T13:00:00Z",
            "2022-01-29T13:00:00+2:00",
            "2022-01-29T13:00:00+24:00",
            "2022-01-29T13:00:00GMT",
        ),
    ],
)
def test_moments_that_contexts_say_in_their_own_way(said: str) -> None:
    contexts = [{"properties": {"since": said}}]
    for value in (
        "2022-01-29T13:00:00Z",
        "2022-01-29T12:59:60Z",
        "2022-01-29T12:00:00.500+00:30",
        "0000-03-01T00:00:00Z",
    ):
        for operator in ("DATE_AFTER", "DATE_BEFORE"):
            alike(contexts, flag(asks("since", operator, value=value)))


def test_a_context_without_a_time_is_of_now() -> None:
    assert alike([{}], flag(asks("currentTime", "DATE_AFTER", value="2022-01-29T13:00:00Z"))) == [True]
    assert alike([{}], flag(asks("currentTime", "DATE_BEFORE", value="2022-01-29T13:00:00Z"))) == [False]


@pytest.mark.parametrize(
    "said", ["9" * 5000 + ".0.0", "1.2.3-" + "9" * 5000, "1.2.3-" + "8" * 5000, "1.2.3-" + "9" * 4999]
)
def test_a_version_may_be_longer_than_any_number_that_python_reads(said: str) -> None:
    contexts = [{"properties": {"version": said}}]
    for value in ("1.2.3", "1.2.3-beta", "1.2.3-" + "9" * 5000):
        for operator in ("SEMVER_EQ", "SEMVER_LT", "SEMVER_GT"):
            alike(contexts, flag(asks("version", operator, value=value)))


@pytest.mark.parametrize(
    "network",
    [
        *("10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/0.255.255.255", "10.0.0.0/255.0.0.0", "::/0", "fe80::/10"),
        *("fe80::1%eth0", "fe80::1%eth0/64", " 10.0.0.0/8 ", "\x1c10.0.0.0/8", "10.0.0.0/", "10.0.0.0/256"),
    ],
)
def test_networks_and_addresses_are_rusts(network: str) -> None:
    addresses = (
        "10.0.0.1",
        "10.1.2.3",
        "fe80::1",
        "fe80::1%eth0",
        "fe80::1%1",
        "::ffff:10.0.0.1",
        " 10.0.0.1",
    )
    contexts = [{"remoteAddress": address} for address in addresses]
    alike(contexts, flag(asks("remoteAddress", "IN_CIDR", values=[network])))
    alike(contexts, flag({"name": "remoteAddress", "parameters": {"IPs": f"x,{network}"}}))


@pytest.mark.parametrize("value", ["\n5", "5\n", "\xa05"])
def test_a_number_between_other_white_space_than_blanks_is_none(value: str) -> None:
    with pytest.raises(FlagError, match="NUM_EQ"):
        alike([], flag(asks("size", "NUM_EQ", value=value)))
    assert alike([{"properties": {"size": "5"}}], flag(asks("size", "NUM_EQ", value=" 5\t"))) == [True]


@pytest.mark.parametrize("value", ["2022-01-29T13:00:00 Z", "2022-01-29t13:00:00Z", "2022-01-29T13:00:00.5Z"])
def test_a_constraint_says_its_moment_strictly(value: str) -> None:
    with pytest.raises(FlagError, match="DATE_AFTER"):
        alike([], flag(asks("since", "DATE_AFTER", value=value)))


@pytest.mark.parametrize(
    "strategy",
    [
        *(
            asks("tenant", "NOT_IN", values=["a\\"]),
            asks('a"b', "NOT_IN", values=["x"]),
            asks("a\\", "IN", values=["x"]),
        ),
        *(half(stickiness='a"b'), half(stickiness="a\\"), half(groupId="a\\"), half(groupId='a"')),
        {"name": "userWithId", "parameters": {"userIds": "ann, bob\\"}},
        {"name": "remoteAddress", "parameters": {"IPs": '10.0.0.1,"'}},
        {"name": "applicationHostname", "parameters": {"hostNames": "host\\"}},
    ],
)
def test_a_text_that_breaks_out_of_its_quotes_takes_the_flag_off_in_unleash_and_is_refused(
    strategy: dict[str, Any],
) -> None:
    broken = flag(strategy, EVERYBODY)
    engine = UnleashEngine()
    engine.take_state(json.dumps({"version": 2, "features": [broken]}))
    assert not engine.is_enabled("f", {"userId": "ann"}).is_enabled
    with pytest.raises(FlagError, match=r"flag 'f'.*stumbles"):
        alike([], broken)


def test_quotes_and_backslashes_that_stay_inside_are_texts_like_others() -> None:
    contexts = [
        {"userId": text, "properties": {"tenant": text, "a\\b": text}}
        for text in ('a"b', "a\\b", 'a\\"b', "x")
    ]
    for text in ('a"b', "a\\b", 'a\\"b'):
        alike(contexts, flag(asks("tenant", "IN", values=[text, "y"])))
        alike(contexts, flag({"name": "userWithId", "parameters": {"userIds": text}}))
    alike(contexts, flag(half(groupId="a\\b")))
    alike(contexts, flag(half(stickiness="a\\b")))
    alike(contexts, flag(asks("a\\b", "NOT_IN", values=["x"])))


@pytest.mark.parametrize("said", ["currentTime", ""])
def test_variants_are_sticky_on_properties_of_odd_names(said: str) -> None:
    contexts = [
        {**user, "currentTime": "2022-01-29T13:00:00Z", "properties": {said: f"x-{number}"}}
        for number, user in enumerate(USERS)
    ]
    variants = [{"name": name, "weight": 1, "stickiness": said} for name in ("red", "blue", "green")]
    alike(contexts, flag(EVERYBODY, variants=variants))
    alike(contexts, flag({"name": "default", "parameters": {"stickiness": said}, "variants": variants}))


def test_who_is_meant_by_name_gets_a_variant_that_weighs_nothing() -> None:
    nobody = [
        {"name": "red", "weight": 0, "overrides": [{"contextName": "userId", "values": ["user-1"]}]},
        {"name": "blue", "weight": 0},
    ]
    alike(USERS[1:2], flag(EVERYBODY, variants=nobody))
    alike(USERS, flag(EVERYBODY, variants=[*nobody, {"name": "green", "weight": 1}]))


def test_of_two_flags_of_one_name_the_last_one_counts() -> None:
    one, other = flag(EVERYBODY, dependencies=[{"feature": "absent"}]), flag(EVERYBODY)
    assert alike([{}], one, other) == [True]
    assert alike([{}], other, one) == [False]


def test_null_is_as_if_it_were_not_said() -> None:
    strategy = dict.fromkeys(("parameters", "constraints", "segments", "variants", "sortOrder")) | {
        "name": "default"
    }
    assert alike([{}], flag(strategy, variants=None, dependencies=None, description=None), segments=None) == [
        True
    ]


def test_a_parent_is_salted_by_the_flag_that_asks_and_its_variants_by_itself() -> None:
    variants = [{"name": name, "weight": 1} for name in ("red", "blue")]
    child = flag(EVERYBODY, dependencies=[{"feature": "parent", "variants": ["red"]}])
    for strategy in (
        half(),
        half(groupId="own"),
        {**half(), "variants": variants},
        {**half(groupId="own"), "variants": variants},
    ):
        inside = alike(USERS, flag(strategy, name="parent", variants=variants), child)
        assert set(inside) == {True, False}
