"""Actors that take turns, one act at a time, in an order drawn from a seed: deterministic interleavings.

An actor is ordinary code in a greenlet. Wherever another process could come between two acts, it calls
``Schedule.point``; whatever stands between two points happens at once.
"""

import random
from collections.abc import Callable
from functools import partial

from greenlet import getcurrent, greenlet

MOST_TURNS = 5_000
SLEEP = "sleep"
LONG_SECONDS = 0.25


class Died(BaseException):
    """Raised in a process that was killed: it can do nothing any more, not even tidy up."""


class EndlessError(AssertionError):
    """The actors never come to rest."""


class Actor:
    """One process or thread. ``at`` is the point where it stands, ``met`` how many it has come to."""

    def __init__(self, schedule: "Schedule", name: str, act: Callable[[], object], weight: int) -> None:
        self.name = name
        self.weight = weight
        self.at = "begin"
        self.met = 0
        self.asleep = False
        self.dead = False
        self.over = False
        self.result: object = None
        self.ready: Callable[[], bool] | None = None
        self.urgent: Callable[[], bool] | None = None
        self.fault: tuple[int, Callable[[Actor], None]] | None = None
        self.greenlet = greenlet(partial(self._run, act), schedule.hub)

    def _run(self, act: Callable[[], object]) -> None:
        try:
            self.result = act()
        except Died:
            return
        except Exception as error:  # noqa: BLE001 - how it ended is looked at by who started it
            self.result = error
        finally:
            self.over = True


class Schedule:
    """Chooses who acts next, and keeps the time. ``trace`` is the order of acts so far, ``effects`` grows
    with each that others may wait for."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hub = getcurrent()
        self.actors: dict[str, Actor] = {}
        self.trace: list[str] = []
        self.now = 1_000.0
        self.effects = 0
        self._acting: Actor | None = None

    def add(self, name: str, act: Callable[[], object]) -> Actor:
        """A new actor; some are quick and some are slow."""
        self.actors[name] = Actor(self, name, act, self.random.choice((1, 3, 9)))
        return self.actors[name]

    def point(self, name: str, ready: Callable[[], bool] | None = None) -> None:
        """Let others act, and go on when ``ready``. Outside of actors nobody else is there."""
        actor = self._acting
        if actor is None:
            return
        if actor.dead:
            raise Died
        actor.at, actor.ready, actor.met = name, ready, actor.met + 1
        self.hub.switch()
        if actor.dead:
            raise Died
        if actor.fault is not None and actor.fault[0] == actor.met:
            _, strike = actor.fault
            strike(actor)
            if actor.dead:
                raise Died
            if actor.asleep:
                self.hub.switch()
                if actor.dead:
                    raise Died

    def kill(self, actor: Actor) -> None:
        """SIGKILL: what it was about to do does not happen."""
        actor.dead = True
        if actor is self._acting or actor.over:
            return
        if actor.greenlet:
            self._resume(actor)
        actor.over = True

    def run(self, after_each: Callable[[], None]) -> None:
        """Until nobody can act any more. Time passes for those who sleep when nobody else is left."""
        while runnable := self._runnable():
            actor = self.random.choices(runnable, [actor.weight for actor in runnable])[0]
            self.trace.append(f"{actor.name}: {actor.at}")
            self._resume(actor)
            after_each()
            if len(self.trace) > MOST_TURNS:
                raise EndlessError(f"still at work: {[(each.name, each.at) for each in runnable]}")

    def _runnable(self) -> list[Actor]:
        awake = [actor for actor in self.actors.values() if not (actor.over or actor.asleep)]
        runnable = [actor for actor in awake if actor.ready is None or actor.ready()]
        if not runnable and any(actor.at == SLEEP for actor in awake):
            self.now += LONG_SECONDS
            self.effects += 1
            runnable = [actor for actor in awake if actor.ready is None or actor.ready()]
        return [actor for actor in runnable if actor.urgent is not None and actor.urgent()] or runnable

    def end(self) -> None:
        """Let go of whatever still stands somewhere."""
        for actor in self.actors.values():
            self.kill(actor)

    def _resume(self, actor: Actor) -> None:
        self._acting = actor
        actor.greenlet.switch()
        self._acting = None
        if isinstance(actor.result, AssertionError):
            raise actor.result

    # What the code under test takes for the module ``time``

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return 0.0  # how long something took is of no interest here, and would make every journal another

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Until somebody has done something; now and then nobody has, and it was a long while."""
        long = self.random.random() < 0.1
        self.now += LONG_SECONDS if long else seconds
        seen = self.effects
        self.point(SLEEP, lambda: long or self.effects != seen)
