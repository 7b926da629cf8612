"""What is counted of the reads that a flag splits."""

from hypothesis import given
from hypothesis import strategies as st

from facade.decision import Decision
from facade.evidence import LATENCY_BUCKETS_MS
from facade.snapshot import PhaseTraffic
from facade.tally import ReadCounts, Tally
from flags.side import Side

PHASES = {name: PhaseTraffic(name, "ramp", 1, Side.MONOLITH, None) for name in ("search", "orders")}


def read(meant: Side, phase: str = "search") -> Decision:
    return Decision(meant, "split reads", PHASES[phase], split=True)


def test_a_read_that_the_other_side_had_to_answer_is_a_failure_of_the_one_it_was_meant_for() -> None:
    tally = Tally()
    tally.add(read(Side.SERVICE), Side.SERVICE, 200, 0.002)
    assert not tally.troubled
    tally.add(read(Side.SERVICE), Side.MONOLITH, 200, 0.003)
    tally.add(read(Side.SERVICE), Side.SERVICE, 503, 0.001)
    tally.add(read(Side.SERVICE), Side.SERVICE, 404, 0.001)
    tally.add(read(Side.SERVICE), Side.SERVICE, 499, 0.001)
    assert tally.troubled
    (counts,) = tally.take().counts()
    assert (counts.side, counts.answered, counts.failed) == (Side.SERVICE, 5, 2)
    assert sum(counts.milliseconds.values()) == 3
    assert not tally.troubled


def test_an_answer_that_broke_off_is_a_failure_once() -> None:
    tally = Tally()
    tally.broken(read(Side.SERVICE))
    tally.add(read(Side.SERVICE), Side.SERVICE, 200, 0.002)
    (counts,) = tally.take().counts()
    assert (counts.answered, counts.failed) == (1, 1)
    tally.broken(Decision(Side.SERVICE, "stage", PHASES["search"]))
    assert tally.take().counts() == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["search", "orders"]),
            st.sampled_from(Side),
            st.sampled_from(Side),
            st.sampled_from([200, 304, 404, 499, 500, 502]),
            st.floats(0, 60),
            st.booleans(),
        )
    )
)
def test_every_read_is_told_once_whenever_the_tally_is_taken(reads) -> None:
    tally, told = Tally(), []
    for phase, meant, side, status, seconds, take in reads:
        tally.add(read(meant, phase), side, status, seconds)
        if take:
            told += tally.take().counts()
    told += tally.take().counts()

    def of(phase: str, side: Side) -> list[ReadCounts]:
        return [each for each in told if (each.phase, each.side) == (phase, side)]

    for phase in PHASES:
        for side in Side:
            mine = [each for each in reads if each[:2] == (phase, side)]
            assert sum(each.answered for each in of(phase, side)) == len(mine)
            failed = [each for each in mine if each[2] is not side or each[3] >= 500]
            assert sum(each.failed for each in of(phase, side)) == len(failed)
            timed = sum(sum(each.milliseconds.values()) for each in of(phase, side))
            assert timed == len(mine) - len(failed)
    assert all(each.milliseconds.keys() <= set(LATENCY_BUCKETS_MS) for each in told)


def test_of_many_answers_about_a_thousand_latencies_are_kept() -> None:
    tally = Tally()
    for _ in range(2):
        for _ in range(20_000):
            tally.add(read(Side.SERVICE), Side.SERVICE, 200, 0.001)
        (counts,) = tally.take().counts()
        assert counts.answered == 20_000
    assert sum(counts.milliseconds.values()) == 1_000


def test_a_tally_that_nobody_takes_does_not_grow_without_end() -> None:
    tally = Tally()
    for _ in range(50_000):
        tally.add(read(Side.SERVICE), Side.SERVICE, 200, 0.001)
    (counts,) = tally.take().counts()
    assert counts.answered == 50_000
    assert sum(counts.milliseconds.values()) < 5_000
