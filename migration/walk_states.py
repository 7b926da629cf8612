"""How one step of a runbook goes: its states and what leads from one to the next, as a table. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a step stands. ``doing`` and ``undoing`` are journaled before anything is done."""

    PENDING = "pending"
    CHECKING = "checking"
    WAITING = "waiting"
    DOING = "doing"
    VERIFYING = "verifying"
    UNKNOWN = "unknown"
    UNDOING = "undoing"
    UNDONE = "undone"
    DONE = "done"


class Event(StrEnum):
    """What a step's precheck, do, verify and undo say, and what happens to the run and the phase."""

    BEGIN = "begin"
    READY = "ready"
    REFUSED = "refused"
    ASKS = "asks"
    CONFIRMED = "confirmed"
    ENDED = "ended"
    HOLDS = "holds"
    ABSENT = "absent"
    UNCLEAR = "unclear"
    FAILED = "failed"
    DIED = "died"
    REOPENED = "reopened"


TABLE: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.BEGIN): State.CHECKING,
    (State.UNDONE, Event.BEGIN): State.CHECKING,
    # precheck
    (State.CHECKING, Event.READY): State.DOING,
    (State.CHECKING, Event.HOLDS): State.DONE,
    (State.CHECKING, Event.ASKS): State.WAITING,
    (State.CHECKING, Event.REFUSED): State.PENDING,
    (State.CHECKING, Event.DIED): State.PENDING,
    (State.WAITING, Event.CONFIRMED): State.DONE,
    (State.WAITING, Event.HOLDS): State.DONE,
    # do: whether it returned or raised, only verify says what is there now
    (State.DOING, Event.ENDED): State.VERIFYING,
    (State.DOING, Event.DIED): State.UNKNOWN,
    # verify
    (State.VERIFYING, Event.HOLDS): State.DONE,
    (State.VERIFYING, Event.ABSENT): State.UNDOING,
    (State.VERIFYING, Event.UNCLEAR): State.UNKNOWN,
    (State.VERIFYING, Event.DIED): State.UNKNOWN,
    # a run that died in between, or a verify that cannot tell: never done again unless it is not there
    (State.UNKNOWN, Event.HOLDS): State.DONE,
    (State.UNKNOWN, Event.ABSENT): State.PENDING,
    (State.UNKNOWN, Event.UNCLEAR): State.UNKNOWN,
    (State.UNKNOWN, Event.CONFIRMED): State.DONE,
    # undo, which may be asked twice
    (State.UNDOING, Event.ENDED): State.UNDONE,
    (State.UNDOING, Event.FAILED): State.UNDOING,
    # the phase has gone back behind it
    (State.DONE, Event.REOPENED): State.PENDING,
    (State.WAITING, Event.REOPENED): State.PENDING,
}

STOPS = frozenset(
    {
        (State.CHECKING, Event.REFUSED),
        (State.CHECKING, Event.ASKS),
        (State.VERIFYING, Event.UNCLEAR),
        (State.UNKNOWN, Event.UNCLEAR),
        (State.UNDOING, Event.ENDED),
        (State.UNDOING, Event.FAILED),
    }
)
"""Where a run ends for now; the next one goes on from the state that was reached."""


def after(state: State, event: Event) -> State:
    """The next state. Raises KeyError for what cannot happen."""
    return TABLE[state, event]


def seen_dead(state: State) -> State:
    """As what a step counts whose run has died."""
    return TABLE.get((state, Event.DIED), state)
