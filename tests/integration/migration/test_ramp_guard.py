"""The guard in `strangler serve`, between real processes: what it takes back, and what it leaves alone."""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.troubled import trouble
from flags.document import gradual
from flags.errors import FlagError
from migration.audit import latest
from migration.cli.app import app
from migration.demo.processes import Process, free_port
from migration.errors import GateClosed, StageError
from migration.flag_desk import FlagDesk
from migration.stages import Stage
from migration.takebacks import Takeback, Takebacks
from migration.wiring import Wiring
from migration.workers import ControlWorkers
from tests.servers.unleash import until

PHASES = ("errors", "slow", "noisy", "burst")
PATIENCE_SECONDS = 90.0


class Migration:
    """A facade over one monolith and a service for each phase, all in the stage ramp, with readers."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        ports = {name: free_port() for name in ("facade", "admin", "monolith", *PHASES)}
        self.ports = ports
        plan = directory / "strangler.toml"
        plan.write_text(
            f"""
            [monolith]
            url = "http://127.0.0.1:{ports["monolith"]}"
            database = "sqlite:///monolith.db"
            [facade]
            listen = "127.0.0.1:{ports["facade"]}"
            admin = "127.0.0.1:{ports["admin"]}"
            """
            + "".join(
                f"""
                [[phases]]
                name = "{name}"
                routes = ["GET /{name}"]
                routing_key = "header:X-User"
                gates = {{ min_samples = 0 }}
                service = {{ url = "http://127.0.0.1:{ports[name]}" }}
                """
                for name in PHASES
            )
        )

        def start(name: str, *command: str) -> Process:
            return stack.enter_context(Process([sys.executable, "-m", *command], directory / f"{name}.log"))

        facade = start("facade", "migration.cli", "serve", "--plan", str(plan))
        sides = {name: "monolith" if name == "monolith" else "service" for name in ("monolith", *PHASES)}
        applications = {
            name: start(name, "benchmarks.troubled", side, str(ports[name])) for name, side in sides.items()
        }
        facade.wait_for_http(f"http://127.0.0.1:{ports['admin']}/-/readyz")
        for name, application in applications.items():
            application.wait_for_port(ports[name])
        self.wiring = Wiring.load(plan)
        stack.callback(self.wiring.close)
        for name in PHASES:
            while self.wiring.control.phase(name).stage is not Stage.RAMP:
                self.wiring.controller.advance(name)
            self.wiring.controller.ramp(name, 50)
        self._answered: Counter[str] = Counter()
        self._leaving = threading.Event()
        readers = threading.Thread(target=lambda: asyncio.run(self._read()))
        readers.start()
        stack.callback(readers.join)
        stack.callback(self._leaving.set)

    def trouble(self, phase: str, **what: float) -> None:
        trouble(self.ports[phase], **what)

    def takebacks(self, phase: str) -> list[Takeback]:
        return Takebacks(self.wiring.control).of(phase)

    def taken_back(self, phase: str) -> Takeback:
        """The first that is made, once its evidence is written down."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.takebacks(phase)) or found[0].evidence is None:
            assert time.monotonic() < deadline, f"the reads of {phase} were not taken back"
            time.sleep(0.02)
        return found[0]

    def answers(self, phase: str, more: int) -> None:
        """Return when the phase's readers have had so many more answers."""
        enough = self._answered[phase] + more
        until(lambda: self._answered[phase] >= enough, PATIENCE_SECONDS)

    async def _read(self) -> None:
        """Ten readers of each phase, each time another user; they take errors as they come."""
        async with asyncio.TaskGroup() as readers:
            for phase in PHASES:
                for number in range(10):
                    readers.create_task(self._read_on(phase, number))

    async def _read_on(self, phase: str, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["facade"])
        user = 0
        while not self._leaving.is_set():
            user += 1
            writer.write(f"GET /{phase} HTTP/1.1\r\nHost: shop\r\nX-User: {number}-{user}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
            self._answered[phase] += 1
            await asyncio.sleep(0.04)
        writer.close()


@pytest.fixture(scope="module")
def migration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    with ExitStack() as stack:
        yield Migration(tmp_path_factory.mktemp("guard"), stack)


def test_what_is_worse_is_taken_back_and_what_is_only_noisy_is_not(migration: Migration) -> None:
    migration.trouble("noisy", noise=1)
    migration.trouble("errors", errors=0.05)
    migration.trouble("slow", slower=40)
    errors, slow = migration.taken_back("errors"), migration.taken_back("slow")
    assert (errors.test, errors.share) == ("errors", 5000)
    assert (slow.test, slow.share) == ("latency", 5000)
    assert "ms at the service" in slow.reason
    evidence = errors.evidence["600"]
    assert evidence["service"]["failed"] > 0
    assert evidence["service"]["answered"] >= evidence["service"]["failed"]
    assert evidence["monolith"]["failed"] == 0
    for phase in ("errors", "slow"):
        assert migration.wiring.flags.snapshot().share(f"{phase}.reads") == 0
    # The noisy one was watched for as long as the slow one, and over the same windows.
    assert migration.takebacks("noisy") == []
    assert migration.wiring.flags.snapshot().share("noisy.reads") == 5000


def test_a_burst_of_errors_reaches_every_worker_and_locks_the_ramp_until_somebody_has_looked(
    migration: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = migration.wiring
    migration.trouble("burst", errors=1.0)
    takeback = migration.taken_back("burst")
    ControlWorkers(wiring.control).wait_for_revision(wiring.control.revision(), time.monotonic() + 10)
    with wiring.control.read() as connection:
        entries = [entry for entry in latest(connection, 20) if "burst taken back" in entry.what]
    assert [entry.who.partition("@")[0] for entry in entries] == ["guard"]
    assert entries[0].after == {"reads": 0, "why": takeback.reason}

    with pytest.raises(GateClosed, match="strangler guard acknowledge burst"):
        wiring.controller.ramp("burst", 1)
    with pytest.raises(FlagError, match="strangler guard acknowledge burst"):
        FlagDesk(wiring.control, wiring.flags).set_share("burst.reads", 100)
    raised = {**wiring.flags.export(), "features": [gradual("burst.reads", 100).model_dump()]}
    with pytest.raises(FlagError, match="strangler guard acknowledge burst"):
        FlagDesk(wiring.control, wiring.flags).import_(raised)
    with pytest.raises(GateClosed) as closed:
        wiring.controller.advance("burst")
    assert "guard" in [gate.name for gate in closed.value.verdicts]
    with pytest.raises(StageError, match="strangler guard acknowledge burst"):
        wiring.controller.ramp("burst", 0)  # which would let the plan's cohorts in again

    plan = ["--plan", str(wiring.plan.file)]
    monkeypatch.setenv("STRANGLER_ACTOR", "ann")
    run = CliRunner()
    shown = run.invoke(app, ["guard", "show", "burst", *plan])
    assert shown.exit_code == 1
    assert takeback.reason in shown.output
    migration.trouble("burst")
    acknowledged = run.invoke(app, ["guard", "acknowledge", "burst", "--note", "a bad deploy", *plan])
    assert acknowledged.exit_code == 0, acknowledged.output
    assert isinstance(run.invoke(app, ["guard", "acknowledge", "burst", *plan]).exception, StageError)
    assert run.invoke(app, ["guard", "show", "burst", *plan]).exit_code == 0
    wiring.controller.ramp("burst", 50)
    migration.answers("burst", 250)  # what failed before somebody looked does not count again
    assert len(migration.takebacks("burst")) == 1
    assert migration.takebacks("burst")[0].acknowledged_by == "ann"
