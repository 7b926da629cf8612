from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.document import Feature, gradual
from flags.errors import UnleashError
from flags.store import StoredFlag, as_stored
from flags.unleash_mirror import SETTLING_SECONDS, Served, differing, served, untold

NOW = 1_700_000_000.0


def concerns(name: str) -> bool:
    return name.startswith("search.")


def document(*features: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"version": 2, "features": list(features), **more}


def flag(name: str, share: int, **more: Any) -> dict[str, Any]:
    return {**gradual(name, share).model_dump(exclude_none=True), **more}


def stored(
    name: str, share: int, *, told_at: float | None = NOW - 60, killed: bool = False, here: bool = False
) -> StoredFlag:
    changed = told_at if told_at is not None and not here else NOW - 60.5
    return StoredFlag(gradual(name, share), share, changed, "ann" if here else "unleash", told_at, killed)


def said(*features: Feature) -> Served:
    return Served({feature.name: feature for feature in features})


def test_only_the_migrations_flags_are_taken_with_those_they_depend_on() -> None:
    found = served(
        document(
            flag("search.reads", 1000, dependencies=[{"feature": "launched"}]),
            flag("launched", 10_000),
            flag("checkout.button", 500, strategies=[{"name": 5}]),
        ),
        concerns,
    )
    assert sorted(found.features) == ["launched", "search.reads"]
    assert not found.refused


def test_i1_who_writes_is_not_asked_of_unleash() -> None:
    found = served(document(flag("search.writes", 10_000), flag("search.reads", 100)), concerns)
    assert sorted(found.features) == ["search.reads"]
    here = [stored("search.writes", 500), stored("search.reads", 100)]
    assert differing(said(), here, NOW) == ([], ["search.reads"])
    assert untold([stored("search.writes", 500, told_at=None)]) == []


def test_a_flag_that_cannot_be_evaluated_is_refused_alone() -> None:
    broken = flag(
        "search.shadow", 0, strategies=[{"name": "flexibleRollout", "parameters": {"rollout": "?"}}]
    )
    found = served(document(broken, flag("search.reads", 100)), concerns)
    assert sorted(found.features) == ["search.reads"]
    assert "search.shadow" in found.refused["search.shadow"]
    # It is neither changed nor dropped.
    assert differing(found, [stored("search.shadow", 5000), stored("search.reads", 100)], NOW) == ([], [])


def test_segments_and_descriptive_keys_make_no_difference_that_is_none() -> None:
    served_flag = flag(
        "search.reads", 100, description=None, strategies=[{"name": "default", "segments": [1]}]
    )
    segments = [{"id": 1, "constraints": [{"contextName": "tenant", "operator": "IN", "values": ["acme"]}]}]
    found = served(document(served_flag, segments=segments), concerns)
    feature = found.features["search.reads"]
    assert feature == as_stored(feature)
    assert feature.strategies[0].constraints[0].values == ["acme"]


@pytest.mark.parametrize("what", [{}, {"features": {}}, {"features": [1]}, {"features": "x"}])
def test_what_is_no_feature_document_is_an_error(what: dict[str, Any]) -> None:
    with pytest.raises(UnleashError, match="no feature document"):
        served(what, concerns)


def test_what_unleash_says_is_taken_and_what_it_has_no_more_is_dropped() -> None:
    here = [stored("search.reads", 1000), stored("search.shadow", 1000)]
    more = gradual("search.reads", 2000)
    assert differing(said(more, gradual("search.new", 100)), here, NOW) == (
        [more, gradual("search.new", 100)],
        ["search.shadow"],
    )


@pytest.mark.parametrize(
    "here",
    [
        stored("search.reads", 0, told_at=None),
        stored("search.reads", 0, killed=True),
        stored("search.reads", 0, told_at=NOW - SETTLING_SECONDS / 2, here=True),
    ],
)
def test_what_was_changed_here_is_not_undone_by_what_unleash_said_before(here: StoredFlag) -> None:
    assert differing(said(gradual("search.reads", 5000)), [here], NOW) == ([], [])
    assert differing(said(), [here], NOW) == ([], [])


def test_what_unleash_says_long_after_it_was_told_is_news() -> None:
    here = stored("search.reads", 0, told_at=NOW - 2 * SETTLING_SECONDS, here=True)
    assert differing(said(gradual("search.reads", 5000)), [here], NOW)[0] == [gradual("search.reads", 5000)]


shares = st.integers(0, 100).map(lambda percent: percent * 100)


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), shares), max_size=6),
    st.dictionaries(st.sampled_from("abcd"), shares),
)
def test_once_taken_nothing_differs(here: list[tuple[str, int]], there: dict[str, int]) -> None:
    flags = {name: stored(f"search.{name}", share) for name, share in here}
    found = said(*(gradual(f"search.{name}", share) for name, share in there.items()))
    taken, gone = differing(found, list(flags.values()), NOW)
    after = [
        each for each in flags.values() if each.name not in {*gone, *(feature.name for feature in taken)}
    ]
    after += [stored(feature.name, 0, told_at=NOW) for feature in taken]
    after = [
        StoredFlag(found.features[each.name], each.share, each.updated_at, each.updated_by, each.told_at)
        for each in after
    ]
    assert differing(found, after, NOW) == ([], [])
