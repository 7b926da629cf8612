"""Feature documents of every shape, and contexts that come near to what they ask for."""

from collections.abc import Iterator
from random import Random
from typing import Any

from hypothesis import strategies as st

FIELDS = ("userId", "sessionId", "remoteAddress", "environment", "appName")
PROPERTIES = ("tenant", "plan", "size", "version", "since", "größe\\n", "")
NAMES = (*FIELDS, "currentTime", *PROPERTIES, "absent")

TEXTS = (
    "acme",
    "ACME",
    "Acme GmbH",
    "free",
    "",
    "ΑΣ",
    "ας",
    "a b",
    "100",
    "sådan",
    "ß",
    "İ",
    "😃",
    'a"b',
    "a\\b",
)
NUMBERS = (
    *("0", "5", "-5", "5.0", "7.", "1e1", ".5", "+7", "inf", "-nan", " 6", "1_0", "0.30000000000000004", "x"),
    *("1E+2", "1e", "1e400", "-0", "00005", "9007199254740993", "Infinity", "\u0665", "5e-324", "0.1e1"),
)
VERSIONS = (
    *(
        "1.2.3",
        "1.2.4",
        "1.10.0",
        "1.2.3-beta",
        "1.2.3-beta.2",
        "1.2.3-beta.11",
        "1.2.3+build",
        "v1.2.3",
        "1.2",
    ),
    *("01.2.3", "1.2.3-0", "1.2.3-00", "1.2.3-a-b", "1.2.3--", "1.2.3-Beta+x.1", "18446744073709551615.0.0"),
    *(
        "18446744073709551616.0.0",
        "1.2.3-99999999999999999999",
        "1.2.3-99999999999999999998",
        f"{'9' * 5000}.0.0",
    ),
    *("1.2.3-a..b", "1.2.3 ", "", f"1.2.3-{'9' * 5000}", "1.2.3-beta.b", "0.0.0"),
)
ADDRESSES = (
    *(
        "10.0.0.1",
        "10.1.2.3",
        "192.168.3.4",
        "2001:db8::5",
        "::1",
        "nowhere",
        "fe80::1%eth0",
        "::ffff:10.0.0.1",
    ),
    *("010.0.0.1", " 10.0.0.1", "10.0.0", "2001:DB8::5", "::", "255.255.255.255", ""),
)
NETWORKS = (
    *(
        "10.0.0.0/8",
        "10.0.0.1/8",
        "10.0.0.1",
        "::/0",
        "0.0.0.0/0",
        "x",
        "10.0.0.0/+8",
        "10.0.0.0/08",
        "10.0.0.0/33",
    ),
    *(
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/0.255.255.255",
        "fe80::/10",
        "fe80::1%eth0/64",
        " 10.0.0.0/8",
        "::ffff:0:0/96",
    ),
    *("2001:db8::/32", "10.0.0.0/", "10/8", "192.168.0.0/16", "2001:db8::/ffff:ffff::"),
)


def date(random: Random) -> str:
    """A moment near others, in one of the many ways to say it, or nearly so."""
    if random.random() < 0.3:
        return "2022-01-29T13:00:00Z"
    pick = random.choice
    year = pick(
        ["2022", "2022", "2022", "2021", "+2022", "222", "-1", "0000", "9999", "+12022", "20222", "+262143"]
    )
    month, day = pick(["01", "01", "1", "12", "13"]), pick(["29", "29", "28", "30", "31", "9"])
    hour, minute = pick(["13", "13", "12", "14", "1", "24", "23"]), pick(["00", "00", "59", "60", "0"])
    second = pick(["00", "00", "59", "60", "61", "5"]) + pick(
        ["", "", ".5", ".123", ".0000001", ".", ".1234567891"]
    )
    zone = pick(
        [
            "Z",
            "Z",
            "z",
            "+01:00",
            "-0030",
            "+01 : 30",
            "\u221202:00",
            "UTC",
            "utc",
            "+24:00",
            "+23:59",
            "+1:00",
            "",
        ]
    )
    gaps = [pick(["", " ", "\u2003"]) if random.random() < 0.04 else "" for _ in range(10)]
    between = pick(["T", "T", "T", " ", "t", "  ", "TT"])
    parts = (year, "-", month, "-", f"{day}{between}{hour}", ":", minute, ":", second, zone)
    return "".join(gap + part for gap, part in zip(gaps, parts, strict=True))


def strict_date(random: Random) -> str:
    """A moment as constraints may say it, and rarely one that is none."""
    pick = random.choice
    if random.random() < 0.02:
        return pick(
            [
                "2022-01-32T13:00:00Z",
                "2022-01-29T13:00:00.5Z",
                "2022-01-29T13:00:00 Z",
                "2022-01-29t13:00:00Z",
            ]
        )
    day = pick(["2022-01-29", "2022-01-29", "2022-01-28", "0000-02-29", "9999-12-31"])
    time = pick(["13:00:00", "13:00:00", "12:59:59", "12:59:60", "23:59:60", "00:00:00"])
    return f"{day}T{time}{pick(['', '', '.500', '.999'])}{pick(['Z', 'Z', '+01:00', '-00:30', '+23:59'])}"


EVERY = {
    "size": lambda random: random.choice(NUMBERS),
    "version": lambda random: random.choice(VERSIONS),
    "since": date,
    "currentTime": date,
    "remoteAddress": lambda random: random.choice(ADDRESSES),
    "userId": lambda random: random.choice([f"user-{random.randrange(500)}", *TEXTS]),
    "sessionId": lambda random: f"session-{random.randrange(500)}",
    "plan": lambda random: random.choice(("free", "Pro", "enterprise")),
}


def fitting(random: Random, name: str) -> str:
    """What is usually said under this name; now and then something else."""
    kind = random.choice(list(EVERY)) if random.random() < 0.05 else name
    return EVERY.get(kind, lambda random: random.choice(TEXTS))(random)


def like(random: Random, text: str) -> str:
    """The text, or one that is a little different."""
    where = random.randrange(len(text) + 1)
    return random.choice(
        [
            *(text, text, text, text.upper(), text.lower(), text[:-1], text[1:], f" {text}", f"{text}0"),
            text[:where] + random.choice('059aZ.-+:% "\\\u2003') + text[where:],
        ]
    )


def asked(part: Any) -> Iterator[tuple[str, str]]:
    """The names that a document asks for, each with a text that it compares."""
    if isinstance(part, list):
        for each in part:
            yield from asked(each)
    elif isinstance(part, dict):
        if name := part.get("contextName"):
            for text in [*(part.get("values") or ()), *([part["value"]] if "value" in part else ())]:
                yield name, text
        for text in part.get("userIds", "").split(","):
            yield "userId", text.strip()
        for each in part.values():
            yield from asked(each)


def contexts(document: dict[str, Any], seed: int, number: int) -> Iterator[dict[str, Any]]:
    """Contexts that say something under most names. The time is always said: the engine has its own clock."""
    random, wanted = Random(seed), dict[str, list[str]]()
    for name, text in asked(document):
        wanted.setdefault(name, []).append(text)
    for _ in range(number):
        said = {
            name: like(random, random.choice(wanted[name]))
            if name in wanted and random.random() < 0.6
            else fitting(random, name)
            for name in NAMES[:-1]
            if name == "currentTime" or random.random() < 0.8
        }
        properties = {name: said.pop(name) for name in PROPERTIES if name in said}
        yield {**said, "properties": properties}


def drawn(draw: Any) -> Any:
    """What ``draw`` makes of a source of chance, whose seed is the only thing that is searched."""
    return st.integers(0, 2**32).map(lambda seed: draw(Random(seed)))


names = st.sampled_from(NAMES)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\'), max_size=8)
texts = drawn(lambda random: fitting(random, random.choice(NAMES))) | plain
short_texts = st.sampled_from(TEXTS)


def constraint(operators: list[str], names: Any, **said: Any) -> Any:
    return st.fixed_dictionaries(
        {
            "contextName": names,
            "operator": st.sampled_from(operators),
            "inverted": st.booleans(),
            "caseInsensitive": st.booleans(),
            **said,
        }
    )


constraints = st.one_of(
    constraint(["IN", "NOT_IN"], names, values=st.lists(texts, max_size=3)),
    constraint(["IN", "NOT_IN"], names, values=st.lists(short_texts, min_size=1, max_size=3)),
    constraint(
        ["STR_CONTAINS", "STR_STARTS_WITH", "STR_ENDS_WITH"],
        names,
        values=st.lists(texts | short_texts, min_size=1, max_size=3),
    ),
    constraint(
        ["IN_CIDR"],
        st.sampled_from(["remoteAddress", "remoteAddress", "tenant"]),
        values=st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=4),
    ),
    constraint(
        ["NUM_EQ", "NUM_GT", "NUM_GTE", "NUM_LT", "NUM_LTE"],
        st.sampled_from(["size", "userId", "tenant"]),
        value=st.sampled_from(
            ["5", "-5", "0.3", "7.", "1e1", "+6", " 5\t", "0", "1e400", "-0", "9007199254740992"]
        ),
    ),
    constraint(
        ["DATE_AFTER", "DATE_BEFORE"],
        st.sampled_from(["currentTime", "since", "tenant"]),
        value=drawn(strict_date),
    ),
    constraint(
        ["SEMVER_EQ", "SEMVER_GT", "SEMVER_LT", "SEMVER_GTE", "SEMVER_LTE"],
        st.sampled_from(["version", "version", "plan"]),
        value=st.sampled_from(
            ["1.2.3", "1.2.4", "1.10.0", "1.2.3-beta", "1.2.3-beta.2", "1.2.3-0", "1.2.3+build"]
        ),
    ),
)

percents = st.integers(0, 100).map(str)
groups = plain | st.sampled_from(["", "search", "a\\b", "a|b", "größe"])
stickiness = st.sampled_from(["default", "default", "random", *NAMES])


def parameters(required: dict[str, Any], **optional: Any) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


gradual = parameters({"percentage": percents, "groupId": groups})
users = st.integers(0, 500).map(lambda number: f" user-{number}") | short_texts
KINDS = {
    "default": parameters({}, groupId=groups, stickiness=stickiness),
    "flexibleRollout": parameters({"rollout": percents}, groupId=groups, stickiness=stickiness),
    "gradualRolloutUserId": gradual,
    "gradualRolloutSessionId": gradual,
    "gradualRolloutRandom": gradual,
    "userWithId": st.fixed_dictionaries({"userIds": st.lists(users, max_size=30).map(",".join)}),
    "remoteAddress": st.fixed_dictionaries(
        {"IPs": st.lists(st.sampled_from([*ADDRESSES, *NETWORKS]), max_size=6).map(" , ".join)}
    ),
    # That this host is among them is not compared: the engine has to be told the name of its host.
    "applicationHostname": parameters({}, hostNames=st.sampled_from(["", "no-such-host, another"])),
    "ofTheirOwn": st.just({}),
}

# All zero is told apart in a test of its own: the engine stumbles over it.
weighted = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["red", "blue", "green"]), "weight": st.just(0) | st.integers(0, 1000)},
        optional={
            "stickiness": stickiness,
            "payload": st.just({"type": "string", "value": "x"}),
            "overrides": st.lists(
                st.fixed_dictionaries(
                    {"contextName": names, "values": st.lists(texts | short_texts, max_size=2)}
                ),
                max_size=2,
            ),
        },
    ),
    max_size=3,
).filter(lambda variants: not variants or any(each["weight"] for each in variants))
strategies = st.sampled_from(sorted(KINDS)).flatmap(
    lambda name: st.fixed_dictionaries(
        {"name": st.just(name), "parameters": KINDS[name]},
        optional={
            "constraints": st.lists(constraints, max_size=2),
            "segments": st.lists(st.integers(1, 3), max_size=2),
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
        {"feature": st.sampled_from(["parent", "parent", "mother", "child", "absent"])},
        optional={
            "enabled": st.booleans() | st.none(),
            "variants": st.lists(st.sampled_from(["red", "blue", "green", "disabled"]), max_size=2),
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
    st.lists(st.lists(constraints, max_size=2), min_size=3, max_size=3),
    features("parent"),
    features("mother"),
    features("child", dependencies=dependencies),
    features("grandchild", dependencies=dependencies),
)
