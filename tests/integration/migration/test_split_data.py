"""Writes by percentage with both databases real: wherever a change of the share dies, no row is lost."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dual_write.errors import SchemaError
from flags.side import Side
from migration.errors import RunCancelled, StageError
from migration.procedure import StepDone
from migration.stages import Stage
from migration.switch import Switch
from tests.integration.migration.test_switch_data import TABLE, Pair, Urls
from tests.integration.migration.worlds import PHASE, reconciled

STEPS = {step.name: number for number, step in enumerate(Switch.steps, 1)}
NUMBERED = {"postgresql": "bigserial PRIMARY KEY", "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT"}
MADE = {"postgresql": "text PRIMARY KEY", "sqlite": "TEXT PRIMARY KEY"}


class SplitPair(Pair):
    """A phase with a routing key, whose rows the database or the application numbers."""

    def __init__(self, directory: Path, urls: Urls, keys: dict[str, str], **options) -> None:
        super().__init__(directory, urls, routing_key="header:X-User", **options)
        self.keys = keys
        self._made = iter(range(10_000))

    def create(self) -> None:
        for side, engine in self.engines.items():
            with engine.begin() as connection:
                key = self.keys[engine.dialect.name]
                connection.execute(text(f"CREATE TABLE {TABLE[side]} (id {key}, name TEXT NOT NULL)"))

    def insert(self, side: Side, name: str) -> int:
        if self.keys is NUMBERED:
            return super().insert(side, name)
        statement = text(f"INSERT INTO {TABLE[side]} VALUES (:id, :name) RETURNING id")
        with self.engines[side].begin() as connection:
            values = {"id": f"{side} {next(self._made)} {name}", "name": name}
            return connection.scalars(statement, values).one()

    def stray(self, side: Side) -> None:
        with self.engines[side].begin() as connection:
            connection.execute(text(f"UPDATE {TABLE[side]} SET name = name"))

    def at(self, share: int) -> dict[int, str]:
        """Bring the phase to a share of the writes; the rows that were written on the way."""
        written = {self.insert(Side.MONOLITH, f"before {n}"): f"before {n}" for n in range(3)}
        self.reach(Stage.RAMP)
        if share:
            self.controller.ramp(PHASE, writes=share)
        for side in self.control.phase(PHASE).writers:
            written |= {self.insert(side, f"{side} {n}"): f"{side} {n}" for n in range(3)}
        return written

    def settle(self) -> None:
        replication = self.replication(PHASE)
        while sum(replication.step(writer.other) for writer in self.control.phase(PHASE).writers):
            pass
        assert [replication.parked(to) for to in Side] == [[], []]
        replication.dispose()

    def assert_written_by(self, writers: tuple[Side, ...], written: dict[int, str]) -> None:
        """Those sides take writes, the others refuse them, and every row is there once, on both sides."""
        record = self.control.phase(PHASE)
        assert (record.writers, record.hold) == (writers, None)
        for side in Side:
            if side in writers:
                new = {self.insert(side, f"after {n}"): f"after {n}" for n in range(3)}
                assert not new.keys() & written.keys()
                written = written | new
            else:
                with pytest.raises(DBAPIError, match=f"{writers[0]}.*{record.epoch}"):
                    self.stray(side)
        self.settle()
        for side in Side:
            assert self.rows(side) == written


@pytest.fixture
def make_pair(
    request: pytest.FixtureRequest, postgresql_database: Callable[[], str]
) -> Iterator[Callable[..., SplitPair]]:
    pairs: list[SplitPair] = []

    def make(engine: str, directory: Path, keys: dict[str, str], **options) -> SplitPair:
        directory.mkdir(exist_ok=True)
        urls = {side: f"sqlite:///{directory / side}.db" for side in Side}
        if engine == "postgresql":
            urls = {side: postgresql_database() for side in Side}
        pairs.append(SplitPair(directory, urls, keys, **options))
        pairs[-1].create()
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.close()


def writers(share: int) -> tuple[Side, ...]:
    return {0: (Side.MONOLITH,), 100: (Side.SERVICE,)}.get(share, tuple(Side))


def die_after(directory: Path, urls: Urls, wanted: int, number: int) -> None:
    """In a process of its own: change the share, and die without a word after the given step."""

    def observer(step: StepDone) -> None:
        if (step.kind, step.number) == (Switch.kind, number):
            os.kill(os.getpid(), signal.SIGKILL)

    SplitPair(directory, urls, MADE, observer=observer).controller.ramp(PHASE, writes=wanted)


ALL = tuple(STEPS.values())
SOME = tuple(STEPS[name] for name in ("guard", "hand_over", "commit", "reverse"))


@pytest.mark.parametrize(
    ("engine", "keys", "numbers", "share", "wanted"),
    [
        pytest.param("sqlite", MADE, ALL, 0, 50, id="sqlite-up"),
        pytest.param("sqlite", MADE, SOME, 50, 0, id="sqlite-down"),
        pytest.param("postgresql", NUMBERED, SOME, 0, 50, id="postgresql-up"),
        pytest.param("postgresql", NUMBERED, SOME[1:3], 50, 100, id="postgresql-all"),
    ],
)
def test_i2_a_controller_killed_after_any_step_loses_no_row(
    make_pair, tmp_path, engine, keys, numbers, share, wanted
) -> None:
    pairs = {number: make_pair(engine, tmp_path / str(number), keys) for number in numbers}
    written = {number: pair.at(share) for number, pair in pairs.items()}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    dying = [
        context.Process(target=die_after, args=(tmp_path / str(number), pair.urls, wanted, number))
        for number, pair in pairs.items()
    ]
    for process in dying:
        process.start()
    for process in dying:
        process.join()
        assert process.exitcode == -signal.SIGKILL

    for number, pair in pairs.items():
        reconciled(pair.control, pair.controller)
        ended = wanted if number >= STEPS["commit"] else share
        pair.assert_written_by(writers(ended), written[number])


@pytest.mark.parametrize(("engine", "keys"), [("sqlite", MADE), ("postgresql", NUMBERED)])
def test_i2_up_and_down_through_every_kind_of_share_loses_no_row(make_pair, tmp_path, engine, keys) -> None:
    pair = make_pair(engine, tmp_path, keys)
    written = pair.at(10)
    for share in (50, 100, 50, 0, 30):
        pair.controller.ramp(PHASE, writes=share)
        for side in pair.control.phase(PHASE).writers:
            written[pair.insert(side, f"{share} {side}")] = f"{share} {side}"
    pair.controller.advance(PHASE)
    pair.assert_written_by((Side.SERVICE,), written)


def test_numbers_that_sqlite_gives_refuse_a_split_but_not_a_whole_move(make_pair, tmp_path) -> None:
    pair = make_pair("sqlite", tmp_path, NUMBERED)
    written = pair.at(0)
    with pytest.raises(SchemaError, match="strangler advance"):
        pair.controller.ramp(PHASE, writes=50)
    pair.controller.ramp(PHASE, writes=100)
    pair.assert_written_by((Side.SERVICE,), written)


@pytest.mark.parametrize("blocked", list(Side))
def test_i7_an_open_transaction_on_either_side_keeps_the_old_share(make_pair, tmp_path, blocked) -> None:
    pair = make_pair("postgresql", tmp_path, NUMBERED, hold=0.5)
    written = pair.at(50)
    with pair.engines[blocked].connect() as connection:
        connection.execute(text(f"INSERT INTO {TABLE[blocked]} (name) VALUES ('slow')"))
        with pytest.raises(RunCancelled, match=r"taken back.*(still open|were held)"):
            pair.controller.ramp(PHASE, writes=0)
        connection.rollback()
    pair.assert_written_by(writers(50), written)


@pytest.mark.parametrize("wanted", [0, 50, 100])
def test_a_transaction_that_has_nothing_to_do_with_the_phase_holds_up_nobody(
    make_pair, tmp_path, wanted
) -> None:
    """It keeps the log's horizon back for as long as it is open, and locks none of the phase's tables."""
    pair = make_pair("postgresql", tmp_path, NUMBERED)
    written = pair.at(50 if wanted == 0 else 0)
    with pair.engines[Side.MONOLITH].connect() as connection:
        connection.execute(text("CREATE TABLE unrelated (id int)"))
        written[pair.insert(Side.MONOLITH, "behind the horizon")] = "behind the horizon"
        pair.controller.ramp(PHASE, writes=wanted)
        assert pair.rows(Side.SERVICE) == pair.rows(Side.MONOLITH) == written
        connection.rollback()
    pair.assert_written_by(writers(wanted), written)


def test_rows_that_both_sides_changed_keep_the_share_until_one_side_is_chosen(make_pair, tmp_path) -> None:
    pair = make_pair("postgresql", tmp_path, MADE)
    written = pair.at(50)
    key = next(iter(written))
    for side in Side:
        with pair.engines[side].begin() as connection:
            connection.execute(text(f"UPDATE {TABLE[side]} SET name = '{side}' WHERE id = '{key}'"))
    with pytest.raises(StageError, match=f"changed on both sides.*{key}"):
        pair.controller.ramp(PHASE, writes=0)
    replication = pair.replication(PHASE)
    assert [entry.key for entry in replication.keep(Side.SERVICE)] == [f'["{key}"]']
    replication.dispose()
    pair.controller.ramp(PHASE, writes=0)
    pair.assert_written_by(writers(0), written | {key: "service"})
