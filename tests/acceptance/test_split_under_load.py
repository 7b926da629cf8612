"""Writes by percentage on PostgreSQL, up and down under load, behind the facades of two hosts."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
import sqlalchemy as sa
import tomlkit

from flags.document import gradual
from flags.rule import compile_feature
from flags.side import Side
from migration.checking import check_phase
from migration.demo.environment import PHASE, Environment
from migration.demo.processes import Process, free_port
from migration.errors import GateClosed, RunCancelled
from migration.journal import Journal
from migration.schema.tables import audit
from migration.stages import Stage
from migration.switch import Switch
from migration.wiring import Wiring
from migration.workers import ControlWorkers
from tests.acceptance.dying import kill_after, let_lease_run_out
from tests.acceptance.people import Crowd

SAVED = {Side.MONOLITH: ("saved_searches", "user_id"), Side.SERVICE: ("saved_queries", "owner_id")}
SHARES = (10, 50, 100, 50, 0)  # of people 1 to 5 the fifth is the first to move, at 50
STEPS = {step.name: number for number, step in enumerate(Switch.steps, 1)}
SECONDS = 60

WITNESS = """
CREATE TABLE served (id bigint, key text, event text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION serve() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO served (id, key, event) VALUES (NEW.id, NEW.{owner}, TG_OP); RETURN NULL; END $$;
CREATE TRIGGER serve AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION serve();
"""
"""Sleeps while replicated changes are applied: what it notes was written by a client, here."""


@dataclass(frozen=True, slots=True)
class Served:
    """A client's write as the database that took it saw it; ``at`` in seconds since 1970."""

    side: Side
    id: int
    key: str
    event: str
    at: float


@contextmanager
def second_host(environment: Environment) -> Iterator[str]:
    """Another facade on the same control database, with addresses of its own; its URL."""
    plan = tomlkit.parse(environment.plan_file.read_text())
    listen, admin = free_port(), free_port()
    plan["facade"].update(listen=f"127.0.0.1:{listen}", admin=f"127.0.0.1:{admin}")
    file = environment.directory / "second.toml"
    file.write_text(tomlkit.dumps(plan))
    command = [sys.executable, "-m", "migration.cli", "serve", "--workers", "2", "--plan", str(file)]
    with Process(command, environment.directory / "second.log") as facade:
        facade.wait_for_http(f"http://127.0.0.1:{admin}/-/readyz", SECONDS)
        yield f"http://127.0.0.1:{listen}"


@pytest.fixture
def split(environments: Callable[[str], Environment]) -> Iterator["Split"]:
    environment = environments("postgresql")
    with ExitStack() as stack:
        yield Split(environment, stack)


class Split:
    """A phase in ramp, with the same people writing through two facades."""

    def __init__(self, environment: Environment, stack: ExitStack) -> None:
        self._plan = environment.plan_file
        self.wiring = Wiring.load(self._plan)
        stack.callback(self.wiring.close)
        self.databases = environment.databases
        self.engines = {side: sa.create_engine(getattr(self.databases, side)) for side in Side}
        for side, engine in self.engines.items():
            table, owner = SAVED[side]
            with engine.begin() as connection:
                connection.execute(sa.text(WITNESS.format(table=table, owner=owner)))
            stack.callback(engine.dispose)
        self.wiring.controller.sync(PHASE, lambda _: None, lambda: False)
        assert check_phase(self.wiring, PHASE).clean
        urls = (environment.url, stack.enter_context(second_host(environment)))
        self.crowds = [stack.enter_context(Crowd(url, size=5)) for url in urls]
        deadline = time.monotonic() + SECONDS
        while len(ControlWorkers(self.wiring.control).live_workers()) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(2):
            self.patiently(lambda: self.wiring.controller.advance(PHASE))

    def patiently(self, move: Callable[[], object]) -> None:
        """Make a move, again if its gates want more traffic or clients would have had to wait too long."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                move()
            except (GateClosed, RunCancelled):
                if time.monotonic() > deadline:
                    raise
                self.crowds[0].read(30)
            else:
                return

    def killed_after(self, step: str, share: int) -> None:
        """Return when a controller was killed in a change of the share, and somebody has ended it."""
        pid = kill_after(self._plan, "ramp", STEPS[step], writes=share)
        let_lease_run_out(self.wiring.control, pid)
        deadline = time.monotonic() + SECONDS
        while Journal(self.wiring.control).unfinished():
            assert time.monotonic() < deadline, "nobody took the switch over"
            time.sleep(0.05)

    @property
    def writers(self) -> tuple[Side, ...]:
        return self.wiring.control.phase(PHASE).writers

    def go_on(self, writes: int) -> None:
        for crowd in self.crowds:
            crowd.go_on(writes)

    def published(self) -> list[float]:
        """When each new share was published, in seconds since 1970."""
        query = sa.select(audit.c.at, audit.c.after).order_by(audit.c.id)
        with self.wiring.control.read() as connection:
            return [row.at for row in connection.execute(query) if "epoch" in row.after]

    def served(self) -> list[Served]:
        query = sa.text("SELECT id, key, event, extract(epoch FROM at)::float8 FROM served")
        found: list[Served] = []
        for side, engine in self.engines.items():
            with engine.connect() as connection:
                found += [Served(side, *row) for row in connection.execute(query)]
        return found


@pytest.mark.timeout(300)
def test_i1_i2_shares_go_up_and_down_under_load(split: Split) -> None:
    controller = split.wiring.controller
    with ExitStack() as stack, split.wiring.replicating(PHASE) as replication:
        for crowd in split.crowds:
            stack.enter_context(crowd.paused())
        logged = {to: replication.accounts(to).captured for to in Side}
        known = len(split.served())
    split.go_on(5)
    for before, share in pairwise((0, *SHARES)):
        if before == 100:  # downwards no gate is asked
            split.killed_after("hand_over", share)
            assert split.writers == (Side.SERVICE,)
            split.go_on(5)
            split.killed_after("reverse", share)
            assert split.writers == tuple(Side)
        split.patiently(lambda share=share: controller.ramp(PHASE, reads=share, writes=share))
        split.go_on(10)
    with ExitStack() as stack:
        for crowd in split.crowds:
            stack.enter_context(crowd.paused())
        assert check_phase(split.wiring, PHASE).clean
        assert_nothing_lost(split)
        served = split.served()
        assert_one_writer_for_each_key(served, split.published())
        assert_no_number_given_twice(served)
        with split.wiring.replicating(PHASE) as replication:
            captured = {to: replication.accounts(to).captured - logged[to] for to in Side}
        written = {side: sum(each.side is side for each in served) for side in Side}
        # I4: a log that also held what was replicated to its side would be longer.
        assert captured[Side.MONOLITH] == written[Side.SERVICE] > 0
        assert captured[Side.SERVICE] == written[Side.MONOLITH] - known
    assert split.wiring.control.phase(PHASE).stage is Stage.RAMP


def assert_nothing_lost(split: Split) -> None:
    """Every acknowledged write is on both sides, and no refused one."""
    for crowd in split.crowds:
        assert crowd.failures == []
        for side in Side:
            assert crowd.differences(split.databases, side) == []


def assert_one_writer_for_each_key(served: list[Served], published: list[float]) -> None:
    """Each write was taken by the side that the share of its moment says, by the facades' own rule."""
    assert len(published) == len(SHARES)
    rules = [compile_feature(gradual(f"{PHASE}.writes", share * 100)) for share in (0, *SHARES)]
    taken: set[tuple[int, Side]] = set()
    for write in served:
        epoch = sum(at <= write.at for at in published)
        owner = Side.SERVICE if rules[epoch].enabled(write.key) else Side.MONOLITH
        assert write.side is owner, f"{write} was taken at {SHARES[epoch - 1]} %"
        taken.add((epoch, write.side))
    assert {epoch for epoch, _ in taken} == set(range(len(SHARES) + 1))
    assert {(2, Side.MONOLITH), (2, Side.SERVICE), (3, Side.SERVICE)} <= taken


def assert_no_number_given_twice(served: list[Served]) -> None:
    given = [write.id for write in served if write.event == "INSERT"]
    assert len(given) == len(set(given))
