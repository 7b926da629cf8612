from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from facade.aggregate import Aggregate
from facade.decide import decide
from facade.decision import AGGREGATED, UNCLAIMED, UNMATCHED, Decision
from facade.routes import Match, Route, RouteTable
from facade.snapshot import PhaseTraffic, Snapshot
from flags.rollout import Rollout
from flags.rule import OFF, ON, Rule
from flags.side import Side
from flags.snapshot import FlagSnapshot

PHASE = PhaseTraffic("p", "ramp", 1, Side.MONOLITH, Side.MONOLITH)
READ = Match(Route("GET", "/", "p"), {}, write=False)
WRITE = Match(Route("POST", "/", "p"), {}, write=True)
RETIRED = Match(Route("POST", "/", "p", retired=True), {}, write=True)


def rule(flag: str, percent: int) -> Rule:
    return {0: OFF, 100: ON}.get(percent) or Rule(percent * 100, (Rollout(f"{flag}:".encode(), percent, 0),))


def outcome(
    match: Match | None,
    traffic: PhaseTraffic = PHASE,
    *,
    key: str | None = "k",
    sticky: str | None = None,
    **shares: int,
) -> Decision:
    flags = {f"p.{name}": rule(f"p.{name}", percent) for name, percent in shares.items()}
    snapshot = Snapshot(1, RouteTable.compile([]), {"p": traffic}, FlagSnapshot(1, flags))
    return decide(snapshot, match, key, sticky, b"request")


def test_what_no_phase_claims_is_the_monoliths() -> None:
    assert outcome(None) is UNMATCHED
    assert outcome(Match(Route("GET", "/", None), {}, write=False)) is UNCLAIMED
    assert outcome(Match(Route("GET", "/", "unknown"), {}, write=False)) is UNCLAIMED


def test_what_is_made_of_parts_is_decided_part_by_part() -> None:
    route = Route("GET", "/", None, aggregate=Aggregate((("one", "/one"),)))
    assert outcome(Match(route, {}, write=False)) is AGGREGATED


def test_reads_follow_the_stage_and_writes_the_writer() -> None:
    assert outcome(READ).side is Side.MONOLITH
    live = replace(PHASE, reads=Side.SERVICE, writer=Side.SERVICE, fallback=True)
    assert (outcome(READ, live).side, outcome(READ, live).fallback) == (Side.SERVICE, True)
    assert (outcome(WRITE, live).side, outcome(WRITE, live).fallback) == (Side.SERVICE, False)


def test_held_writes_wait_and_reads_do_not() -> None:
    fenced = replace(PHASE, hold="switch")
    assert outcome(WRITE, fenced).hold
    assert outcome(RETIRED, fenced).hold
    assert not outcome(READ, fenced).hold


def test_retired_routes_are_the_monoliths_until_they_are_gone() -> None:
    live = replace(PHASE, writer=Side.SERVICE, reads=Side.SERVICE)
    assert outcome(RETIRED, live).side is Side.MONOLITH
    assert outcome(RETIRED, live).write
    assert outcome(RETIRED, replace(live, retired=True)).gone


def test_i1_a_write_without_a_routing_key_goes_to_the_writer() -> None:
    split = replace(PHASE, split_writes=True)
    assert outcome(WRITE, split, key=None, sticky="cookie", writes=99).side is Side.MONOLITH
    assert outcome(WRITE, split, key="k", writes=100).side is Side.SERVICE
    assert outcome(WRITE, PHASE, key="k", writes=100).side is Side.MONOLITH


def test_shadow_falls_only_on_reads_of_the_monolith() -> None:
    shaded = replace(PHASE, shadow=True)
    assert outcome(READ, shaded, shadow=100).shadow
    assert not outcome(READ, shaded, shadow=0).shadow
    assert not outcome(READ, PHASE, shadow=100).shadow
    assert not outcome(WRITE, shaded, shadow=100).shadow
    assert not outcome(READ, replace(shaded, reads=Side.SERVICE), shadow=100).shadow


@given(st.text(min_size=1), st.integers(0, 100), st.integers(0, 100))
def test_raising_a_share_never_takes_anyone_back(key: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    split = replace(PHASE, reads=None)
    if outcome(READ, split, key=key, reads=low).side is Side.SERVICE:
        assert outcome(READ, split, key=key, reads=high).side is Side.SERVICE


@given(st.text(min_size=1), st.integers(0, 100))
def test_the_cookie_stands_in_for_a_missing_key_of_a_read(key: str, percent: int) -> None:
    split = replace(PHASE, reads=None)
    named = outcome(READ, split, key=key, reads=percent)
    assert outcome(READ, split, key=None, sticky=key, reads=percent).side is named.side
