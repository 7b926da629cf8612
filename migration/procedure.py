"""A journaled, resumable list of steps under a lease: what every move that touches data is made of."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from sqlalchemy.exc import SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from dual_write.errors import DataError
from dual_write.replication import Replication
from migration.control import Control
from migration.errors import LeaseLost, MigrationError, RunCancelled, RunUnfinished
from migration.journal import CANCELLED, FINISHED, Journal, Run
from migration.lease import Lease, new_holder

Detail = Mapping[str, Any]
FORWARD_SECONDS = 2.0
"""How long a committed run tries a failing step itself before it leaves it to the reconciler."""
TROUBLE = (MigrationError, DataError, SQLAlchemyError, OSError)
"""What a step may run into that is not a mistake of this program."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``act`` returns what to journal, and is idempotent: the reconciler may call it again."""

    name: str
    act: Callable[[Any], Detail]


@dataclass(frozen=True, slots=True)
class StepDone:
    """What an observer is told after each step."""

    phase: str
    kind: str
    number: int
    name: str
    seconds: float
    detail: Detail


Observer = Callable[[StepDone], None]


def unobserved(_: StepDone) -> None:
    """The observer of those who do not look."""


class Procedure(ABC):
    """Walks ``steps`` in order. One of them calls ``take_lease``, and a later one ``commit``.

    A failure before the commit is cancelled, one after it is tried again and then left to the reconciler;
    both leave the journal saying so. An object makes one walk, over a Replication of its own: ``replicate``
    makes it when a step first asks.
    """

    kind: ClassVar[str]
    steps: ClassVar[tuple[Step, ...]]

    def __init__(
        self, control: Control, replicate: Callable[[], Replication], phase: str, actor: str
    ) -> None:
        self.control = control
        self.phase = phase
        self.actor = actor
        self.journal = Journal(control)
        self._replicate = replicate
        self._lease: Lease | None = None
        self._run: Run | None = None

    @abstractmethod
    def intent(self) -> Detail:
        """All that another process needs to end this walk."""

    @abstractmethod
    def cancel(self) -> None:
        """Undo every step before the commit. Idempotent, and right after any of them."""

    @property
    def lease(self) -> Lease:
        if self._lease is None:
            raise RuntimeError("no step has taken the lease yet")
        return self._lease

    @property
    def run(self) -> Run:
        if self._run is None:
            raise RuntimeError("no step has taken the lease yet")
        return self._run

    @cached_property
    def replication(self) -> Replication:
        return self._replicate()

    def take_lease(self) -> Detail:
        """A step's act: from here on every step is journaled, and nobody else works on the phase."""
        self._lease = Lease.acquire(self.control, self.phase, new_holder())
        self._run = self.journal.begin(self._lease, self.kind, self.intent(), self.actor)
        return {"holder": self._lease.holder, "token": self._lease.token}

    def commit(self) -> Detail:
        """A step's act: the point of no return."""
        self.journal.commit(self.lease, self.run)
        return {}

    def walk(self, observer: Observer = unobserved) -> None:
        """Make the walk. Raises RunCancelled when it was taken back, RunUnfinished when it could not end,
        LeaseLost when another controller took over, and as it is whatever failed before the journal began.
        """
        try:
            self._forward(observer, first=1)
        except LeaseLost:
            raise  # whoever took over ends the run
        except BaseException as error:
            if self._run is None:
                raise
            self._settle(error)
        finally:
            self._let_go()

    def resolve(self, lease: Lease, run: Run) -> None:
        """End an interrupted walk under a lease taken for it: cancel before the commit, finish after it."""
        self._lease, self._run = lease, run
        try:
            if run.committed:
                self._forward(unobserved, first=self._commit_number() + 1)
            else:
                self.cancel()
                self.journal.end(lease, run, CANCELLED, {"reason": "its controller died"})
        finally:
            self._let_go()

    def _forward(self, observer: Observer, first: int) -> None:
        done: tuple[str, Detail] | None = None
        for number, step in enumerate(self.steps, 1):
            if number < first:
                continue
            if self._run is not None:
                self.journal.enter(self.lease, self.run, number, step.name, done=done)
            began = time.perf_counter()
            detail = dict(step.act(self))
            seconds = time.perf_counter() - began
            done = (step.name, {**detail, "seconds": round(seconds, 6)})
            observer(StepDone(self.phase, self.kind, number, step.name, seconds, detail))
        self.journal.end(self.lease, self.run, FINISHED, done[1] if done else {})

    def _settle(self, error: BaseException) -> None:
        try:
            committed = self.journal.run(self.run.id).committed
            if committed:
                self._finish()
                return
            self.cancel()
            self.journal.end(self.lease, self.run, CANCELLED, {"reason": str(error)})
        except TROUBLE as second:
            raise RunUnfinished(
                f"the {self.kind} of phase {self.phase!r} failed ({_said(error)}) and could not be ended "
                f"here ({_said(second)}). `strangler serve` and `strangler relay` try again until it is."
            ) from error
        if not isinstance(error, Exception):
            raise error
        raise RunCancelled(
            f"the {self.kind} of phase {self.phase!r} was taken back, nothing has changed: {_said(error)}"
        ) from error

    def _finish(self) -> None:
        for attempt in Retrying(
            stop=stop_after_delay(FORWARD_SECONDS),
            wait=wait_exponential(multiplier=0.02, max=0.3),
            retry=retry_if_exception_type(TROUBLE),
            reraise=True,
        ):
            with attempt:
                self._forward(unobserved, first=self._commit_number() + 1)

    def _commit_number(self) -> int:
        return next(n for n, step in enumerate(self.steps, 1) if step.act is type(self).commit)

    def _let_go(self) -> None:
        if "replication" in self.__dict__:
            self.replication.dispose()
        if self._lease is not None:
            self._lease.release()


def _said(error: BaseException) -> str:
    if isinstance(error, MigrationError | DataError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
