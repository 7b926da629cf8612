from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.document import Feature, gradual, parse_features
from flags.errors import FlagError
from flags.percent import FULL
from flags.rollout import bucket
from flags.rule import compile_feature

KEYS = st.text(max_size=40)
SHARES = st.integers(0, FULL)


def strategy(name: str = "flexibleRollout", **parameters: str) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def feature(*strategies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "f", "enabled": True, "strategies": list(strategies), **more}


def ours(document: dict[str, Any], key: str | None) -> bool:
    return compile_feature(Feature.model_validate(document)).enabled(key)


@given(KEYS, SHARES, SHARES)
def test_raising_a_share_never_evicts(key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    if compile_feature(gradual("search.reads", low)).enabled(key):
        assert compile_feature(gradual("search.reads", high)).enabled(key)


@given(KEYS, SHARES)
def test_a_key_is_in_when_its_bucket_is_within_the_share(key: str, share: int) -> None:
    rule = compile_feature(gradual("search.reads", share))
    assert rule.enabled(key) is (bucket("search", key, 10_000) <= share)
    if share % 100 == 0:
        assert rule.enabled(key) is (bucket("search", key) <= share // 100)


@given(KEYS, st.integers(0, 100))
def test_a_whole_percent_chooses_the_same_keys_at_both_scales(key: str, percent: int) -> None:
    assert (bucket("g", key) <= percent) is (bucket("g", key, 10_000) <= percent * 100)


@given(KEYS, SHARES, SHARES)
def test_whose_writes_moved_has_its_reads_moved(key: str, one: int, other: int) -> None:
    writes, reads = sorted((one, other))
    if compile_feature(gradual("search.writes", writes)).enabled(key):
        assert compile_feature(gradual("search.reads", reads)).enabled(key)


def test_shadow_is_salted_apart_so_that_it_sees_keys_the_reads_left_behind() -> None:
    reads, shadow = (compile_feature(gradual(f"search.{kind}", 1000)) for kind in ("reads", "shadow"))
    keys = [f"user-{n}" for n in range(2000)]
    assert any(shadow.enabled(key) and not reads.enabled(key) for key in keys)


@pytest.mark.parametrize("share", [50, 1000, 3333])
def test_shares_of_many_ids_are_what_was_asked_for(share: int) -> None:
    rule = compile_feature(gradual("search.reads", share))
    inside = sum(rule.enabled(str(number)) for number in range(100_000))
    assert abs(inside / 100_000 - share / FULL) < 0.003


@pytest.mark.parametrize(("share", "expected"), [(0, False), (1, False), (9999, False), (FULL, True)])
def test_without_a_key_nobody_is_in_before_everybody_is(share: int, expected: bool) -> None:
    assert compile_feature(gradual("search.reads", share)).enabled(None) is expected


def test_a_key_that_is_no_valid_text_still_has_a_side() -> None:
    rule = compile_feature(gradual("search.reads", 5000))
    assert rule.enabled("\udcff\ud800") is rule.enabled("\udcff\ud800")


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (feature({"name": "default", "segments": [1]}), "segments"),
        (feature({"name": "default", "disabled": True}), "disabled"),
        (feature(strategy(rollout="101")), "101"),
        (feature(strategy(rollout="many")), "many"),
        (feature(strategy(groupId="g")), "rollout"),
        (feature(strategy(rollout="5", groupId='g"')), "double quote"),
        (feature(strategy(rollout="5", groupId="g\\")), "backslash"),
        (feature(strategy("userWithId"), enabled=False), "userIds"),
        (feature(strategy("remoteAddress")), "IPs"),
        (feature(strategy("gradualRolloutUserId", percentage="5")), "groupId"),
    ],
)
def test_what_unleashs_engine_cannot_evaluate_is_refused(document: dict[str, Any], named: str) -> None:
    with pytest.raises(FlagError, match=f"flag 'f'.*{named}"):
        ours(document, "key")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "features"),
        ({"features": [{"name": "f"}]}, r"features\.0\.enabled"),
        ({"features": [feature({"name": "flexibleRollout", "parameters": {"rollout": 5}})]}, "rollout"),
        ([], "the document"),
    ],
)
def test_what_is_no_feature_document_is_refused_with_its_place(document: Any, place: str) -> None:
    with pytest.raises(FlagError, match=place):
        parse_features(document)
