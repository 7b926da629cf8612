"""Documents of every shape, asked with many contexts: the rules answer as Unleash's own engine does."""

import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from yggdrasil_engine.engine import UnleashEngine

from flags.context import Context
from flags.document import inlined, parse_features
from flags.rule import compile_features

FIELDS = ("userId", "sessionId", "remoteAddress", "environment", "appName")
PROPERTIES = ("tenant", "plan", "size", "version", "since")
ADDRESSES = ("10.0.0.1", "10.1.2.3", "192.168.3.4", "2001:db8::5", "::1", "nowhere")
NUMBERS = (
    "0",
    "5",
    "-5",
    "5.0",
    "7.",
    "1e1",
    ".5",
    "+7",
    "inf",
    "nan",
    " 6",
    "1_0",
    "0.30000000000000004",
    "x",
)
DATES = (
    "2022-01-29T13:00:00Z",
    "2022-01-29T13:00:00.001Z",
    "2022-01-29 14:00:00Z",
    "2022-01-29t14:00:00z",
    "2022-01-29T14:00:00+02:00",
    "2022-01-29T14:00:00.0000001Z",
    "2022-01-29T23:59:60Z",
    "2022-01-29T24:00:00Z",
    "2022-02-30T00:00:00Z",
    "2022-01-29",
    "2022-01-29T14:00:00",
)
VERSIONS = (
    "1.2.3",
    "1.2.4",
    "1.10.0",
    "1.2.3-beta",
    "1.2.3-beta.2",
    "1.2.3-beta.11",
    "1.2.3+build",
    "v1.2.3",
    "1.2",
    "01.2.3",
)
TEXTS = ("acme", "ACME", "Acme GmbH", "free", "", "ΑΣ", "ας", "a b", "100", "sådan")
EVERY_TEXT = (*TEXTS, *NUMBERS, *DATES, *VERSIONS, *ADDRESSES)


class ChanceError(Exception):
    """Chance decides this answer, so there is nothing to compare."""


def by_chance(_: int) -> int:
    raise ChanceError


def context(random: Random) -> dict[str, Any]:
    """A context that says something under most names, as fits the name or at random."""
    fitting = {
        "userId": [f"user-{random.randrange(500)}", *TEXTS],
        "sessionId": [f"session-{random.randrange(500)}"],
        "remoteAddress": ADDRESSES,
        "environment": ("production", "development"),
        "appName": ("monolith", "facade"),
        "currentTime": DATES,
        "tenant": TEXTS,
        "plan": ("free", "Pro", "enterprise"),
        "size": NUMBERS,
        "version": VERSIONS,
        "since": DATES,
    }
    said = {
        name: random.choice(EVERY_TEXT if random.random() < 0.1 else values)
        for name, values in fitting.items()
        if random.random() < 0.8
    }
    properties = {name: said.pop(name) for name in PROPERTIES if name in said}
    return {**said, "properties": properties}


def ours(said: dict[str, Any]) -> Context:
    return Context(
        user_id=said.get("userId"),
        session_id=said.get("sessionId"),
        remote_address=said.get("remoteAddress"),
        environment=said.get("environment"),
        app_name=said.get("appName"),
        current_time=said.get("currentTime"),
        properties=said["properties"],
        draw=by_chance,
    )


CONTEXTS = [context(Random(seed)) for seed in range(200)]

names = st.sampled_from([*FIELDS, *PROPERTIES, "currentTime", "absent"])
texts = st.sampled_from(EVERY_TEXT) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=8
)
inverted = st.booleans()


def constraint(operators: list[str], names: Any, **said: Any) -> Any:
    return st.fixed_dictionaries(
        {
            "contextName": names,
            "operator": st.sampled_from(operators),
            "inverted": inverted,
            "caseInsensitive": st.booleans(),
            **said,
        }
    )


constraints = st.one_of(
    constraint(["IN", "NOT_IN"], names, values=st.lists(texts, max_size=3)),
    constraint(["IN", "NOT_IN"], names, values=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3)),
    constraint(
        ["STR_CONTAINS", "STR_STARTS_WITH", "STR_ENDS_WITH"],
        names,
        values=st.lists(texts, min_size=1, max_size=3),
    ),
    constraint(
        ["IN_CIDR"],
        names,
        values=st.lists(st.sampled_from(["10.0.0.0/8", "::/0", "10.0.0.1", "x"]), min_size=1),
    ),
    constraint(
        ["NUM_EQ", "NUM_GT", "NUM_GTE", "NUM_LT", "NUM_LTE"],
        st.sampled_from(["size", "userId", "tenant"]),
        value=st.sampled_from(["5", "-5", "0.3", "7.", "1e1", "+6", " 5 ", "0"]),
    ),
    constraint(
        ["DATE_AFTER", "DATE_BEFORE"],
        st.sampled_from(["currentTime", "since", "tenant"]),
        value=st.sampled_from([date for date in DATES[:5] if "T" in date]),
    ),
    constraint(
        ["SEMVER_EQ", "SEMVER_GT", "SEMVER_LT", "SEMVER_GTE", "SEMVER_LTE"],
        st.sampled_from(["version", "plan"]),
        value=st.sampled_from(VERSIONS[:7]),
    ),
)

percents = st.integers(0, 100).map(str)
groups = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=8)
stickiness = st.sampled_from(["default", "random", *FIELDS, "tenant", "plan", "absent"])


def parameters(required: dict[str, Any], **optional: Any) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


gradual = parameters({"percentage": percents, "groupId": groups})
KINDS = {
    "default": st.just({}),
    "flexibleRollout": parameters({"rollout": percents}, groupId=groups, stickiness=stickiness),
    "gradualRolloutUserId": gradual,
    "gradualRolloutSessionId": gradual,
    "gradualRolloutRandom": gradual,
    "userWithId": st.fixed_dictionaries(
        {"userIds": st.lists(st.integers(0, 500).map(lambda n: f" user-{n}"), max_size=30).map(",".join)}
    ),
    "remoteAddress": st.fixed_dictionaries(
        {"IPs": st.lists(st.sampled_from([*ADDRESSES, "10.0.0.0/16", "2001:db8::/32"])).map(", ".join)}
    ),
    "applicationHostname": parameters({}, hostNames=st.sampled_from(["", "no-such-host, another"])),
    "ofTheirOwn": st.just({}),
}

weighted = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["red", "blue", "green"]),
            "weight": st.integers(1, 1000),
            "stickiness": st.sampled_from(["default", "userId", "tenant", "random"]),
        },
        optional={
            "payload": st.just({"type": "string", "value": "x"}),
            "overrides": st.lists(
                st.fixed_dictionaries(
                    {"contextName": names, "values": st.lists(st.sampled_from(TEXTS), max_size=2)}
                ),
                max_size=2,
            ),
        },
    ),
    max_size=3,
)
strategies = st.sampled_from(sorted(KINDS)).flatmap(
    lambda name: st.fixed_dictionaries(
        {"name": st.just(name), "parameters": KINDS[name]},
        optional={
            "constraints": st.lists(constraints, max_size=2),
            "segments": st.lists(st.integers(1, 2), max_size=1),
            "variants": weighted,
        },
    )
)


def features(name: str, **more: Any) -> Any:
    return st.fixed_dictionaries(
        {
            "name": st.just(name),
            "enabled": st.sampled_from([True, True, True, False]),
            "strategies": st.lists(strategies, max_size=3),
        },
        optional={"variants": weighted, **more},
    )


dependencies = st.lists(
    st.fixed_dictionaries(
        {"feature": st.sampled_from(["parent", "child", "absent"])},
        optional={
            "enabled": st.booleans(),
            "variants": st.lists(st.sampled_from(["red", "blue"]), max_size=2),
        },
    ),
    max_size=2,
)
documents = st.builds(
    lambda segments, *features: {
        "version": 2,
        "features": list(features),
        "segments": [{"id": n, "constraints": each} for n, each in enumerate(segments, 1)],
    },
    st.lists(st.lists(constraints, max_size=2), min_size=2, max_size=2),
    features("parent"),
    features("child", dependencies=dependencies),
    features("grandchild", dependencies=dependencies),
)


def test_a_hundred_thousand_answers_are_those_of_unleashs_engine() -> None:
    compared = drawn = 0
    engine = UnleashEngine()

    @settings(max_examples=250)
    @given(documents)
    def every_answer_is_the_same(document: dict[str, Any]) -> None:
        nonlocal compared, drawn
        engine.take_state(json.dumps(document))
        rules = compile_features(inlined(parse_features(document)))
        for said in CONTEXTS:
            asking = ours(said)
            for name, rule in rules.items():
                try:
                    met = rule.met(asking)
                    variant = rule.variant(asking)
                except ChanceError:
                    drawn += 1
                    continue
                assert met is engine.is_enabled(name, said).is_enabled, (name, said)
                theirs = engine.get_variant(name, said).variant
                assert ("disabled" if variant is None else variant.name) == theirs.name, (name, said)
                assert (None if variant is None else variant.payload) == theirs.payload
                compared += 1

    every_answer_is_the_same()
    assert compared >= 100_000
    assert drawn < compared / 2
