"""A walk through a runbook, killed wherever chance wants it: nothing is done twice, nothing is left out."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from migration.errors import MigrationError, WalkStopped
from migration.runbook import Runbook, load
from migration.runbook_steps import Confirm, Step
from migration.stages import Stage
from migration.walk import Walk, outlook
from migration.walk_desk import Act, Answer
from migration.walk_journal import Entry, WalkJournal
from migration.walk_states import Event, State, after

WORDS = 'title = "t"\nwhy = "w"\nexpect = "e"\ntrouble = "t"\nback = "b"\n'


class Killed(BaseException):
    """The process is gone."""


class Boundaries:
    """Counts the places at which a run can die, and lets it die at the chosen ones."""

    def __init__(self, deadly: set[int]) -> None:
        self.passed = 0
        self._deadly = deadly

    def __call__(self) -> None:
        self.passed += 1
        if self.passed in self._deadly:
            raise Killed


class KeptJournal(WalkJournal):
    """A journal in memory: it survives the runs of one test."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.finished = False
        self.boundary: Callable[[], None] = lambda: None

    def write(self, step, event, detail=None) -> State:
        self.boundary()
        state = after(self.state(step), event)
        self.entries.append(Entry(step, event, state, dict(detail or {}), "tester", float(len(self.entries))))
        self.boundary()
        return state

    def finish(self) -> None:
        self.finished = True


class World:
    """What the steps change: an effect each."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.done: Counter[str] = Counter()
        self.undone: Counter[str] = Counter()
        self.stage = Stage.OFF
        self.boundary: Callable[[], None] = lambda: None
        self.refuse: set[str] = set()
        self.break_once: set[str] = set()
        self.blind: set[str] = set()


class WorldAct(Act):
    def __init__(self, world: World, step: Step) -> None:
        self.world, self.step = world, step

    phase = "search"
    fill = staticmethod(str)

    def precheck(self) -> Answer:
        self.world.boundary()
        if isinstance(self.step, Confirm):
            return Answer(Event.ASKS)
        if self.step.name in self.world.refuse:
            return Answer(Event.REFUSED, "not today")
        return Answer(Event.HOLDS if self.step.name in self.world.there else Event.READY)

    def do(self) -> None:
        self.world.boundary()
        if self.step.name in self.world.break_once:
            self.world.break_once.remove(self.step.name)
            raise OSError("out of order")
        assert self.step.name not in self.world.there, f"{self.step.name} is done twice"
        self.world.there.add(self.step.name)
        self.world.done[self.step.name] += 1
        self.world.boundary()

    def verify(self) -> Answer:
        self.world.boundary()
        if self.step.name in self.world.blind:
            return Answer(Event.UNCLEAR, "it is dark")
        if isinstance(self.step, Confirm):
            return Answer(Event.HOLDS)
        return Answer(Event.HOLDS if self.step.name in self.world.there else Event.ABSENT)

    def undo(self) -> None:
        self.world.boundary()
        self.world.there.discard(self.step.name)
        self.world.undone[self.step.name] += 1
        self.world.boundary()


@pytest.fixture(scope="module")
def runbook(tmp_path_factory: pytest.TempPathFactory) -> Runbook:
    return made(tmp_path_factory.mktemp("runbook"), "doctor", "sync", "confirm", "check")


def made(directory: Path, *kinds: str) -> Runbook:
    file = directory / "small.toml"
    steps = "".join(f'[[steps]]\nname = "{kind}"\nkind = "{kind}"\n{WORDS}' for kind in kinds)
    file.write_text(f'title = "Small"\nabout = "A test."\n{steps}')
    return load(file)


def run(runbook: Runbook, journal: KeptJournal, world: World, confirmed: str | None = None, ask=None) -> None:
    walk = Walk(
        runbook,
        journal,
        lambda step: WorldAct(world, step),
        lambda: world.stage,
        tell=lambda _: None,
        ask=ask,
    )
    walk.go(confirmed)


def yes(_what: str, _command: str) -> bool:
    return True


@given(deadly=st.sets(st.integers(1, 90), max_size=12))
def test_i7_a_walk_that_dies_anywhere_does_each_step_once(runbook: Runbook, deadly: set[int]) -> None:
    journal, world = KeptJournal(), World()
    journal.boundary = world.boundary = Boundaries(deadly)
    while not journal.finished:
        try:
            run(runbook, journal, world, ask=yes)
        except Killed:
            continue
    assert world.done == {"doctor": 1, "sync": 1, "check": 1}
    assert not world.undone
    assert [journal.state(step.name) for step in runbook.steps] == [State.DONE] * 4


@given(deadly=st.sets(st.integers(1, 120), max_size=12), broken=st.sets(st.sampled_from(["sync", "check"])))
def test_i7_a_step_that_fails_is_taken_back_and_begun_again(runbook, deadly, broken) -> None:
    journal, world = KeptJournal(), World()
    world.break_once = set(broken)
    journal.boundary = world.boundary = Boundaries(deadly)
    for _ in range(40):
        try:
            run(runbook, journal, world, ask=yes)
        except (Killed, WalkStopped):
            continue
        break
    assert journal.finished
    assert world.done == {"doctor": 1, "sync": 1, "check": 1}


def test_do_is_journaled_before_it_is_done(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    seen: list[State] = []
    world.boundary = lambda: seen.append(journal.state("doctor"))
    with pytest.raises(WalkStopped, match="for a person to do"):
        run(runbook, journal, world)
    assert seen[:4] == [State.CHECKING, State.DOING, State.DOING, State.VERIFYING]


def test_what_cannot_begin_stops_the_walk_and_changes_nothing(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    world.refuse = {"sync"}
    with pytest.raises(WalkStopped, match="'sync' cannot begin: not today"):
        run(runbook, journal, world)
    assert world.there == {"doctor"}
    world.refuse = set()
    run(runbook, journal, world, ask=yes)
    assert world.done["doctor"] == 1


def test_a_manual_step_waits_for_a_persons_word(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    for _ in range(2):
        with pytest.raises(WalkStopped, match=r"strangler runbook \{phase\} --run --confirm confirm"):
            run(runbook, journal, world)
    with pytest.raises(MigrationError, match="'check' does not wait to be confirmed: 'confirm' is next"):
        run(runbook, journal, world, confirmed="check")
    run(runbook, journal, world, confirmed="confirm")
    assert journal.finished


def test_a_step_may_be_confirmed_before_the_walk_has_asked_for_it(tmp_path: Path) -> None:
    journal, world = KeptJournal(), World()
    run(made(tmp_path, "confirm", "check"), journal, world, confirmed="confirm")
    assert journal.finished


def test_what_the_run_does_itself_is_not_taken_on_anybodys_word(runbook: Runbook) -> None:
    with pytest.raises(MigrationError, match="nothing to confirm"):
        run(runbook, KeptJournal(), World(), confirmed="doctor")


def test_a_step_in_doubt_is_not_repeated_until_it_is_seen_or_vouched_for(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    world.blind = {"sync"}
    for _ in range(2):
        with pytest.raises(WalkStopped, match="'sync' may be done or not: it is dark"):
            run(runbook, journal, world)
    assert journal.state("sync") is State.UNKNOWN
    assert world.done["sync"] == 1
    with pytest.raises(WalkStopped, match="for a person"):
        run(runbook, journal, world, confirmed="sync")
    assert journal.state("sync") is State.DONE
    assert world.done["sync"] == 1


def test_steps_behind_the_phase_are_passed(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    world.stage = Stage.SHADOW
    with pytest.raises(WalkStopped, match="for a person"):
        run(runbook, journal, world)
    assert not world.done
    assert journal.state("sync") is State.DONE


def test_a_phase_that_went_back_is_walked_again_from_there(runbook: Runbook) -> None:
    journal, world = KeptJournal(), World()
    with pytest.raises(WalkStopped):
        run(runbook, journal, world)
    world.there.remove("sync")
    run(runbook, journal, world, ask=yes)
    assert world.done == {"doctor": 1, "sync": 2, "check": 1}


def test_a_step_under_way_must_stay_in_the_runbook(runbook: Runbook, tmp_path: Path) -> None:
    journal, world = KeptJournal(), World()
    world.blind = {"sync"}
    with pytest.raises(WalkStopped):
        run(runbook, journal, world)
    with pytest.raises(WalkStopped, match="step 'sync' is under way"):
        run(made(tmp_path, "doctor", "check"), journal, world)


def test_the_outlook_asks_the_next_step_alone(runbook: Runbook) -> None:
    world = World()
    world.refuse = {"sync"}
    lines = list(outlook(runbook, {"doctor": State.DONE}, lambda step: WorldAct(world, step), Stage.OFF))
    assert [line.state for line in lines] == ["done", "next", "later", "later"]
    assert lines[1].answer == Answer(Event.REFUSED, "not today")
    assert [line.state for line in outlook(runbook, {}, None, Stage.DUAL_WRITE)] == [
        "behind",
        "next",
        "later",
        "later",
    ]


def test_i9_what_a_database_was_given_is_not_journaled(runbook: Runbook, monkeypatch) -> None:
    def refuse(_: WorldAct) -> None:
        raise IntegrityError("INSERT INTO people VALUES (?)", ("ada@example.com",), Exception("no such row"))

    journal = KeptJournal()
    monkeypatch.setattr(WorldAct, "do", refuse)
    with pytest.raises(WalkStopped, match="the database refused: no such row"):
        run(runbook, journal, World())
    assert "ada@example.com" not in str(journal.entries)
