from hypothesis import given
from hypothesis import strategies as st

from flags.cohort import Cohorts
from flags.context import Context
from flags.document import gradual
from flags.rule import OFF, Rule, compile_feature
from flags.snapshot import FlagSnapshot

COHORTS = Cohorts(
    first_keys=frozenset({"ann", "eve"}),
    never_keys=frozenset({"eve"}),
    first={"tenant": frozenset({"acme"}), "group": frozenset({"staff"})},
    never={"tenant": frozenset({"bank"})},
)
keys = st.text(max_size=20)
shares = st.integers(0, 100).map(lambda percent: percent * 100)


def rule(share: int) -> Rule:
    return COHORTS.over(compile_feature(gradual("search.reads", share)))


def test_the_chosen_are_in_before_any_percentage() -> None:
    nobody = rule(0)
    assert nobody.met(Context(user_id="ann"))
    assert nobody.met(Context(user_id="bob", properties={"tenant": "acme"}))
    assert nobody.met(Context(properties={"group": "staff"}))
    assert not nobody.met(Context(user_id="bob", properties={"tenant": "other"}))


def test_who_is_never_in_is_out_at_a_hundred_percent_and_though_chosen() -> None:
    everybody = rule(10_000)
    assert everybody.met(Context(user_id="bob"))
    assert not everybody.met(Context(user_id="eve"))
    assert not everybody.met(Context(user_id="ann", properties={"tenant": "bank"}))


def test_a_flag_that_is_off_lets_nobody_in() -> None:
    assert COHORTS.over(OFF) is OFF
    killed = compile_feature(gradual("search.reads", 5000).model_copy(update={"enabled": False}))
    assert not COHORTS.over(killed).met(Context(user_id="ann"))


@given(keys, shares)
def test_everybody_else_is_decided_as_ever(key: str, share: int) -> None:
    if key in {"ann", "eve"}:
        return
    plain = compile_feature(gradual("search.reads", share))
    assert rule(share).met(Context(user_id=key)) is plain.enabled(key)
    # A client without a key has the facade's cookie.
    assert rule(share).met(Context(session_id=key)) is plain.enabled(key)


def test_a_snapshot_knows_which_of_its_flags_ask_for_more_than_a_key() -> None:
    flags = FlagSnapshot(
        1, {"search.reads": rule(0), "other.reads": compile_feature(gradual("other.reads", 100))}
    )
    assert flags.asking == {"search.reads"}
    assert flags.enabled("search.reads", "bob", Context(user_id="bob", properties={"tenant": "acme"}))
    assert not flags.enabled("search.reads", "bob")
    assert flags.enabled("search.reads", "ann")
