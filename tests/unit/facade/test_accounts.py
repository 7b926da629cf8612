from hypothesis import given
from hypothesis import strategies as st

from facade.accounts import SAMPLES, Accounts
from facade.compare import Outcome
from facade.evidence import Comparison, Difference, ShadowCounts

AGREE = Outcome((), {}, {})
DIFFER = Outcome((Difference("$.a", "value", "1", "2"),), {("$.a", "value"): 1}, {"$.b": 1})

SETTLING = st.one_of(
    st.tuples(st.just("drop"), st.sampled_from(["queue_full", "timeout"])),
    st.tuples(st.just("compared"), st.booleans(), st.booleans()),
    st.just(("take",)),
    st.just(("give_back",)),
)


@given(st.lists(st.tuples(st.sampled_from("ab"), SETTLING)))
def test_i10_the_accounts_balance_at_every_moment(steps: list[tuple[str, tuple[object, ...]]]) -> None:
    accounts, settled = Accounts(), 0
    recorded: list[ShadowCounts] = []
    for route, step in steps:
        match step:
            case ("drop", str(reason)):
                accounts.drop("p", route, reason)
                settled += 1
            case ("compared", differs, again):
                outcome = DIFFER if differs else AGREE
                accounts.compared("p", route, outcome, stale=bool(again), primary_ms=1.0, shadow_ms=99999.0)
                settled += 1
            case ("take",):
                recorded += accounts.take()[0]
            case _:
                accounts.give_back(*accounts.take())
    recorded += accounts.take()[0]
    assert sum(counts.eligible for counts in recorded) == settled
    for counts in recorded:
        assert balanced(counts)


def balanced(counts: ShadowCounts) -> bool:
    compared = counts.matched + counts.mismatched + counts.stale
    assert sum(counts.primary_ms.values()) == sum(counts.shadow_ms.values()) == compared
    return counts.eligible == compared + sum(counts.drops.values())


def differing(number: int, path: str) -> Comparison:
    differences = (Difference(path, "value", "1", "2"),)
    return Comparison("p", "r", str(number), "GET", "/", 0.0, differences, 200, 200, 1.0, 1.0)


def test_of_each_place_the_first_sample_is_kept_until_it_is_taken() -> None:
    accounts = Accounts()
    for number in range(9):
        accounts.sample(differing(number, f"$.items[{number}].a"))
        accounts.sample(differing(10 + number, "$.b"))
    assert [each.request_id for each in accounts.take()[1]] == ["0", "10"]
    accounts.sample(differing(20, "$.b"))
    assert [each.request_id for each in accounts.take()[1]] == ["20"], "the latest are seen too"


def test_samples_are_few_however_many_places_differ() -> None:
    accounts = Accounts()
    for number in range(SAMPLES * 2):
        accounts.sample(differing(number, f"$.k{number}"))
    counts, samples = accounts.take()
    assert len(samples) == SAMPLES
    accounts.sample(differing(99, "$.z"))
    accounts.give_back(counts, samples)
    assert accounts.take()[1] == samples
