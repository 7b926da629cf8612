from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from facade.config import RateLimit
from facade.rate import PLACES, RateLimits

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def test_a_burst_passes_then_one_for_each_token_that_comes_back() -> None:
    limits = RateLimits({"": RateLimit(rate=10, burst=3)})
    assert [limits.wait("", None, "a", NOW) for _ in range(4)] == [0, 0, 0, 0.1]
    assert limits.wait("", None, "b", NOW) == 0
    assert limits.wait("", None, "a", NOW + SECOND // 10) == 0
    assert limits.wait("", None, "a", NOW + SECOND // 10) > 0
    assert [limits.wait("", None, "a", NOW + 9 * SECOND) > 0 for _ in range(4)] == [False] * 3 + [True]


def test_a_phase_has_a_limit_of_its_own_by_key_or_address() -> None:
    limits = RateLimits({"search": RateLimit(rate=1, burst=1, by_key=True)})
    assert limits.wait("search", "anna", "a", NOW) == 0
    assert limits.wait("search", "anna", "b", NOW) == 1.0
    assert limits.wait("search", "bert", "a", NOW) == 0
    assert limits.wait("search", None, "a", NOW) == 0
    assert limits.wait("search", None, "a", NOW) == 1.0
    assert limits.wait("orders", "anna", "a", NOW) == 0
    assert limits.wait("", "anna", "a", NOW) == 0


def test_workers_share_their_buckets(tmp_path: Path) -> None:
    rules = {"": RateLimit(rate=1, burst=2)}
    one, two = RateLimits(rules, str(tmp_path / "r")), RateLimits(rules, str(tmp_path / "r"))
    assert [each.wait("", None, "a", NOW) for each in (one, two, one)] == [0, 0, 1.0]
    assert (tmp_path / "r").stat().st_size == 8 + 16 * PLACES


@given(st.lists(st.integers(0, SECOND), max_size=60), st.integers(1, 5), st.integers(1, 20))
def test_never_more_than_the_burst_and_what_came_back(gaps: list[int], burst: int, rate: int) -> None:
    limits = RateLimits({"": RateLimit(rate, burst)})
    at, passed = NOW, 0
    for gap in gaps:
        at += gap
        passed += limits.wait("", None, "a", at) == 0
        assert passed <= burst + (at - NOW) * rate / SECOND + 1e-6
