"""The table of a step's states, looked at from all sides."""

import itertools

import pytest

from migration.walk_states import STOPS, TABLE, Event, State, after, seen_dead

REACHED_BY_ACTING = {State.DOING, State.UNDOING}


def reachable(start: State, *, without: frozenset[Event] = frozenset()) -> set[State]:
    found, todo = set[State](), [start]
    while todo:
        state = todo.pop()
        for (source, event), target in TABLE.items():
            if source is state and event not in without and target not in found:
                found.add(target)
                todo.append(target)
    return found


@pytest.mark.parametrize("state", [state for state in State if state is not State.DONE])
def test_every_step_can_be_brought_to_its_end(state: State) -> None:
    assert State.DONE in reachable(state)


def test_i7_nothing_is_done_that_was_not_checked_and_journaled_first() -> None:
    assert [source for source, target in TABLE.items() if target is State.DOING] == [
        (State.CHECKING, Event.READY)
    ]
    assert State.DOING not in TABLE.values() or (State.PENDING, Event.READY) not in TABLE


def test_what_may_have_been_done_is_done_again_only_when_it_is_not_there() -> None:
    """From a dead `do`, the way back to `do` leads over a verify that says that nothing is there."""
    unknown = after(State.DOING, Event.DIED)
    assert State.DOING not in reachable(unknown, without=frozenset({Event.ABSENT, Event.REOPENED}))
    assert State.DOING in reachable(unknown)


@pytest.mark.parametrize("state", State)
def test_a_dead_run_leaves_a_state_that_needs_no_memory_of_it(state: State) -> None:
    assert seen_dead(state) not in {State.CHECKING, State.DOING, State.VERIFYING}
    assert seen_dead(seen_dead(state)) is seen_dead(state)


def test_stops_are_ways_of_the_table() -> None:
    assert set(TABLE) >= STOPS


def test_what_cannot_happen_is_no_way_of_the_table() -> None:
    for state, event in itertools.product(State, Event):
        if (state, event) not in TABLE:
            with pytest.raises(KeyError):
                after(state, event)
