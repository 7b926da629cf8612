"""``strangler runbook --run``: walks a phase's runbook, `precheck → do → verify → undo` for each step.

What is about to be done is journaled before it is done. A run that died leaves its step ``unknown``: the next
run asks the step's verify what is there, and never does again what may have been done.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from subprocess import SubprocessError
from typing import Any

from sqlalchemy.exc import DBAPIError

from flags.errors import FlagError
from migration.errors import LeaseLost, MigrationError, WalkStopped
from migration.procedure import TROUBLE
from migration.runbook import Runbook
from migration.runbook_steps import Confirm, Step
from migration.stages import Stage
from migration.walk_desk import Act, Answer
from migration.walk_journal import WalkJournal
from migration.walk_states import STOPS, Event, State, seen_dead

FAILURES = (*TROUBLE, FlagError, SubprocessError)
"""What an act may run into that is not a mistake of this program."""

Tell = Callable[[str], Any]
Ask = Callable[[str, str], bool]
"""Asks a person whether a manual step is done: what it is, and the command that says so later."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a walk would do with a step now: ``done``, ``behind`` the phase, ``next`` or ``later``.

    ``answer`` is what the precheck of the next one says.
    """

    step: Step
    state: str
    answer: Answer | None = None


class Walk:
    """One run through a runbook. ``acts`` gives what a step does; ``stage`` where the phase stands.

    ``ask`` puts a manual step to a person who is there; without it, or if the answer is no, the run stops.
    """

    def __init__(
        self,
        runbook: Runbook,
        journal: WalkJournal,
        acts: Callable[[Step], Act],
        stage: Callable[[], Stage],
        *,
        tell: Tell,
        ask: Ask | None = None,
    ) -> None:
        self._runbook = runbook
        self._journal = journal
        self._acts = acts
        self._stage = stage
        self._tell = tell
        self._ask = ask

    def go(self, confirmed: str | None = None) -> None:
        """Walk to the end. ``confirmed`` names a step that a person vouches for.

        Raises WalkStopped, GateClosed while gates stay closed, and MigrationError for a bad ``confirmed``.
        """
        self._require_known()
        self._bury()
        if confirmed is not None and self._journal.state(confirmed) is State.UNKNOWN:
            self._journal.write(confirmed, Event.CONFIRMED)
            confirmed = None
        self._resolve()
        self._reopen()
        if confirmed is not None:
            self._confirm(confirmed)
        for number, step in enumerate(self._runbook.steps, 1):
            while self._journal.state(step.name) is not State.DONE:
                self._turn(number, step)
        self._journal.finish()

    # Picking up

    def _require_known(self) -> None:
        """A step under way must still be in the runbook, however that was edited meanwhile."""
        doubtful = {State.DOING, State.VERIFYING, State.UNKNOWN, State.UNDOING}
        for name in dict.fromkeys(entry.step for entry in self._journal.entries):
            if self._journal.state(name) in doubtful and self._runbook.step(name) is None:
                raise WalkStopped(
                    f"step {name!r} is under way, and {self._runbook.file} has it no more. "
                    "Put it back until it has ended."
                )

    def _bury(self) -> None:
        """Say of each step in what state its run has died."""
        for step in self._runbook.steps:
            state = self._journal.state(step.name)
            if seen_dead(state) is not state:
                self._tell(f"{step.name}: the run before this one died while it was {state}")
                self._journal.write(step.name, Event.DIED)

    def _resolve(self) -> None:
        """Learn what is true of the steps in doubt, and end taking back what was being taken back."""
        for step in self._runbook.steps:
            while (state := self._journal.state(step.name)) in {State.UNKNOWN, State.UNDOING}:
                answer = self._enter(step)
                if answer.event in {Event.UNCLEAR, Event.FAILED}:
                    raise WalkStopped(self._stopped(step, state, answer))

    def _reopen(self) -> None:
        """Begin again with the first step that is behind this walk, but not any more behind the phase."""
        steps = self._runbook.steps
        fallen = next((number for number, step in enumerate(steps) if self._fell_back(step)), len(steps))
        for step in steps[fallen:]:
            if self._journal.state(step.name) in {State.DONE, State.WAITING}:
                self._journal.write(step.name, Event.REOPENED, {"stage": self._stage()})

    def _fell_back(self, step: Step) -> bool:
        done = self._journal.state(step.name) is State.DONE
        if not done or self._runbook.is_behind(step, self._stage()):
            return False
        answer = self._acts(step).stands()
        if answer.event is not Event.HOLDS:
            self._tell(f"{step.name}: begun again: {answer.text}")
        return answer.event is not Event.HOLDS

    def _confirm(self, name: str) -> None:
        """Take a person's word for the manual step that is next."""
        step = next((each for each in self._runbook.steps if not self._passed(each)), None)
        if step is None or step.name != name:
            waiting = "none does" if step is None else f"{step.name!r} is next"
            raise MigrationError(f"step {name!r} does not wait to be confirmed: {waiting}.")
        if not isinstance(step, Confirm):
            raise MigrationError(f"step {name!r} is done by the run itself; there is nothing to confirm.")
        while self._journal.state(name) not in {State.WAITING, State.DONE}:
            self._enter(step)
        if self._journal.state(name) is State.WAITING:
            self._journal.write(name, Event.CONFIRMED)

    def _passed(self, step: Step) -> bool:
        done = self._journal.state(step.name) is State.DONE
        return done or self._runbook.is_behind(step, self._stage())

    # One turn

    def _turn(self, number: int, step: Step) -> None:
        """What the step's state asks for. Raises where a run stops."""
        state = self._journal.state(step.name)
        if state in {State.PENDING, State.UNDONE}:
            title = self._acts(step).fill(step.title)
            self._tell(f"{number}/{len(self._runbook.steps)} {step.name}: {title}")
        answer = self._enter(step)
        if answer.event is Event.HOLDS and answer.text:
            self._tell(f"  {answer.text}")
        if answer.event is Event.ASKS:
            self._put(step)
        elif (state, answer.event) in STOPS:
            raise answer.error or WalkStopped(self._stopped(step, state, answer))

    def _enter(self, step: Step) -> Answer:
        """Let the step answer, and journal that."""
        state = self._journal.state(step.name)
        answer = _TURNS[state](self, step)
        if (state, answer.event) != (State.WAITING, Event.ASKS):
            detail = {**answer.detail, **({"reason": answer.text} if answer.text else {})}
            self._journal.write(step.name, answer.event, detail)
        return answer

    def _begin(self, _: Step) -> Answer:
        return Answer(Event.BEGIN)

    def _precheck(self, step: Step) -> Answer:
        if self._runbook.is_behind(step, self._stage()):
            return Answer(Event.HOLDS, f"the phase is in {self._stage()} already")
        try:
            return self._acts(step).precheck()
        except FAILURES as error:
            return Answer(Event.REFUSED, _said(error), error=_ours(error))

    def _do(self, step: Step) -> Answer:
        try:
            self._acts(step).do()
        except LeaseLost:
            raise
        except FAILURES as error:
            self._tell(f"{step.name}: {_said(error)}")
            return Answer(Event.ENDED, _said(error))
        return Answer(Event.ENDED)

    def _verify(self, step: Step) -> Answer:
        try:
            return self._acts(step).verify()
        except FAILURES as error:
            return Answer(Event.UNCLEAR, _said(error))

    def _undo(self, step: Step) -> Answer:
        try:
            self._acts(step).undo()
        except FAILURES as error:
            return Answer(Event.FAILED, _said(error))
        return Answer(Event.ENDED)

    def _wait(self, step: Step) -> Answer:
        if self._runbook.is_behind(step, self._stage()):
            return Answer(Event.HOLDS, f"the phase is in {self._stage()} already")
        return Answer(Event.ASKS)

    def _put(self, step: Step) -> None:
        fill = self._acts(step).fill
        what, command = f"{fill(step.title)}\n  {fill(step.why)}", step.command(fill)
        if self._ask is None or not self._ask(what, command):
            raise WalkStopped(
                f"step {step.name!r} is for a person to do: {what}\nWhen it is done: `{command}`"
            )
        self._journal.write(step.name, Event.CONFIRMED)

    def _stopped(self, step: Step, state: State, answer: Answer) -> str:
        phase = self._acts(step).phase
        again = f"`strangler runbook {phase} --run` goes on from here."
        match state, answer.event:
            case State.UNDOING, Event.ENDED:
                entries = [entry for entry in self._journal.entries if entry.step == step.name]
                said = [str(entry.detail["reason"]) for entry in entries if "reason" in entry.detail]
                reason = said[-1] if said else "what it should bring about is not there"
                return f"step {step.name!r} failed, and nothing of it is left: {reason}. {again}"
            case State.UNDOING, _:
                return f"step {step.name!r} failed, and cannot be taken back yet: {answer.text}. {again}"
            case State.CHECKING, _:
                return f"step {step.name!r} cannot begin: {answer.text}. {again}"
            case _:
                return (
                    f"step {step.name!r} may be done or not: {answer.text}. Look for yourself; "
                    f"`strangler runbook {phase} --run` asks again, `--confirm {step.name}` says that it is."
                )


_TURNS: Mapping[State, Callable[[Walk, Step], Answer]] = {
    State.PENDING: Walk._begin,
    State.UNDONE: Walk._begin,
    State.CHECKING: Walk._precheck,
    State.WAITING: Walk._wait,
    State.DOING: Walk._do,
    State.VERIFYING: Walk._verify,
    State.UNKNOWN: Walk._verify,
    State.UNDOING: Walk._undo,
}


def outlook(
    runbook: Runbook, states: Mapping[str, State], acts: Callable[[Step], Act] | None, stage: Stage
) -> Iterator[Outlook]:
    """What a run would do now: nothing is journaled, nothing changed, and without ``acts`` nothing asked."""
    ahead = False
    for step in runbook.steps:
        state = states.get(step.name, State.PENDING)
        if runbook.is_behind(step, stage):
            yield Outlook(step, "behind")
        elif state is State.DONE and not ahead:
            yield Outlook(step, "done")
        elif ahead:
            yield Outlook(step, "later")
        else:
            ahead = True
            yield Outlook(step, "next", None if acts is None else _asked(acts(step), seen_dead(state)))


def _asked(act: Act, state: State) -> Answer:
    try:
        return act.verify() if state in {State.UNKNOWN, State.UNDOING} else act.precheck()
    except FAILURES as error:
        return Answer(Event.REFUSED, _said(error))


def _ours(error: BaseException) -> MigrationError | None:
    return error if isinstance(error, MigrationError) else None


def _said(error: BaseException) -> str:
    """What may be kept: the text of a database's error has the statement's parameters (I9)."""
    return f"the database refused: {error.orig}" if isinstance(error, DBAPIError) else str(error)
