"""Read your writes: a client that wrote reads from the writer until replication has carried it over."""

from collections.abc import Mapping
from time import time

from facade.decide import writer_of
from facade.decision import Decision
from facade.headers import Fields
from facade.pins import Pins
from facade.routing_key import cookie
from facade.snapshot import Snapshot
from flags.side import Side

COOKIE = "strangler-wrote-"
"""With the phase's name: when and to which side the client last wrote, for the facades of other hosts.
In milliseconds, and a letter."""
_MARK = {Side.MONOLITH: "m", Side.SERVICE: "s"}
_COOKIE_SECONDS = 3600


class ReadYourWrites:
    """The rule of one worker.

    ``phases`` are those it holds for. ``passed`` says, by phase and side, up to which time (seconds since
    1970) everything that was written is on that side; where it is silent, nothing is known to be.
    """

    def __init__(self, phases: frozenset[str], pins: Pins) -> None:
        self.phases = phases
        self.passed: Mapping[tuple[str, Side], float] = {}
        self._pins = pins

    def turn(
        self, decision: Decision, snapshot: Snapshot, key: str | None, sticky: str | None, fields: Fields
    ) -> Decision:
        """The decision for a read, turned to the writer if the side it chose may lack the client's write.

        ``sticky`` stands in for a missing routing ``key`` in knowing the client, but owns no write: while
        writes are split, a read without a key follows the side that the client was told it wrote to.
        """
        traffic = decision.phase
        if traffic is None or decision.write or not decision.split or traffic.name not in self.phases:
            return decision
        told, at = _told(fields, traffic.name)
        writer = writer_of(snapshot.choices[traffic.name], key)
        if key is None and traffic.split_writes and told is not None:
            writer = told
        if decision.side is writer:
            return decision
        client = key or sticky
        wrote = max(self._pins.last(traffic.name, client) if client else 0.0, at)
        if wrote <= self.passed.get((traffic.name, decision.side), 0.0):
            return decision
        fallback = traffic.fallback and writer is Side.SERVICE
        return Decision(writer, "own write", traffic, fallback=fallback, split=True)

    def wrote(self, phase: str, key: str) -> float:
        """This client's write may have been done. Returns the time."""
        now = time()
        self._pins.wrote(phase, key, now)
        return now

    def line(self, phase: str, at: float, side: Side) -> bytes:
        """The header line that tells facades on other hosts, which do not share the table."""
        attributes = f"Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
        return f"Set-Cookie: {COOKIE}{phase}={int(at * 1000) + 1:x}{_MARK[side]}; {attributes}\r\n".encode()


def _told(fields: Fields, phase: str) -> tuple[Side | None, float]:
    """Where and when the client says that it wrote. One that lies chooses who reads for it, nothing else."""
    told = cookie(fields, COOKIE + phase) or ""
    side = next((side for side, mark in _MARK.items() if told.endswith(mark)), None)
    try:
        return side, int(told.rstrip("ms"), 16) / 1000 if len(told) <= 17 else 0.0
    except ValueError:
        return None, 0.0
