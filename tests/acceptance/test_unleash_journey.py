"""A phase whose percentages a real Unleash keeps: moved there, killed here, and the server dies meanwhile."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from flags.rollout import bucket
from flags.side import Side
from migration.control import Control
from migration.demo.processes import Process, free_port
from migration.following import Home, home
from migration.stages import Stage
from migration.workers import ControlWorkers
from tests.acceptance.command import Strangler
from tests.integration.migration.test_reloading import Upstream
from tests.servers.unleash import Unleash, until

PHASE = "search"
READS = f"{PHASE}.reads"
USERS = [f"user-{number}" for number in range(100)]
SECONDS = 120
"""For a process to be ready: a bound on what a busy machine takes, not an expectation."""


class World:
    """Two sides that answer with their names, and `strangler serve` with two workers before them."""

    def __init__(self, directory: Path, monolith: Upstream, service: Upstream, unleash: Unleash) -> None:
        account = unleash.account
        (directory / "token").write_text(account.token)
        (directory / "admin-token").write_text(account.admin_token)
        self._address = f"127.0.0.1:{free_port()}"
        admin = free_port()
        plan = directory / "strangler.toml"
        plan.write_text(
            f"""
            [monolith]
            url = "{monolith.url}"
            database = "sqlite:///monolith.db"
            [facade]
            listen = "{self._address}"
            admin = "127.0.0.1:{admin}"
            workers = 2
            [flags.unleash]
            url = "{account.url}"
            environment = "{account.environment}"
            token_file = "token"
            admin_token_file = "admin-token"
            [[phases]]
            name = "{PHASE}"
            routes = ["GET /search"]
            routing_key = "header:X-User"
            [phases.cohorts]
            properties = {{ group = "header:X-Group" }}
            first = {{ group = ["staff"] }}
            deny = ["user-13"]
            [phases.gates]
            min_samples = 0
            [phases.service]
            url = "{service.url}"
            """
        )
        self.directory = directory
        self.strangler = Strangler(plan)
        self.admin = httpx.Client(base_url=f"http://127.0.0.1:{admin}", trust_env=False)
        self._command = [sys.executable, "-m", "migration.cli", "serve", "--plan", plan]
        self.serve = Process(self._command, directory / "serve.log")
        self.wait()
        self._unleash = account.url
        self.control = Control.open(f"sqlite:///{directory / '.strangler' / 'control.db'}")

    def wait(self) -> None:
        self.serve.wait_for_http(f"{self.admin.base_url}/-/readyz", SECONDS)

    def restart(self) -> None:
        self.serve.terminate()
        self.serve = Process(self._command, self.directory / "serve.log")
        self.wait()

    def answered(self, user: str, **headers: str) -> str:
        """Who answers this user, each time on a connection of its own, so that every worker is asked."""
        with closing(HTTPConnection(self._address, timeout=SECONDS)) as connection:
            connection.request("GET", "/search", headers={"X-User": user, **headers})
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()

    def inside(self) -> set[str]:
        """The users whom the service answers."""
        return {user for user in USERS if self.answered(user) == "service"}

    @property
    def flags(self) -> Home:
        return home(self.control, self._unleash)

    @property
    def calm(self) -> bool:
        """Whether both know the same."""
        return self.flags.degraded is None and not self.flags.untold

    @property
    def workers(self) -> set[int]:
        return {worker.status.pid for worker in ControlWorkers(self.control).live_workers()}

    def metric(self, name: str) -> float:
        token = (self.directory / ".strangler" / "admin-token").read_text().strip()
        answer = self.admin.get("/-/metrics", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
        lines = answer.text.splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))

    def close(self) -> None:
        self.admin.close()
        self.control.close()
        self.serve.terminate()


@pytest.fixture
def world(tmp_path: Path, unleash: Unleash) -> Iterator[World]:
    monolith, service = Upstream("monolith"), Upstream("service")
    world = World(tmp_path, monolith, service, unleash)
    yield world
    world.close()
    monolith.close()
    service.close()


@pytest.mark.timeout(600)
def test_i6_a_phase_is_ramped_in_unleash_killed_here_and_outlives_the_server(
    world: World, unleash: Unleash
) -> None:
    strangler = world.strangler
    for stage in (Stage.DUAL_WRITE, Stage.SHADOW, Stage.RAMP):
        assert strangler("advance", PHASE)["stage"] == stage
    # What the stage set is told, and those who are chosen are in before any percentage.
    until(lambda: unleash.rollout(READS) == "0")
    assert world.inside() == set()
    assert world.answered("user-1", **{"X-Group": "staff"}) == "service"
    assert world.answered("user-13", **{"X-Group": "staff"}) == "monolith"

    # Moved in Unleash.
    until(lambda: world.calm)
    unleash.move(READS, 30)
    third = chosen(30)
    until(lambda: world.inside() == third)  # whichever worker is asked
    # Moved by a command: whoever was in stays in.
    assert strangler("ramp", PHASE, "--reads", "60")["late_workers"] == []
    assert world.inside() == chosen(60) > third
    until(lambda: unleash.rollout(READS) == "60")

    # Killed while Unleash is there, and revived there: a kill holds.
    until(lambda: world.calm)
    assert strangler("flags", "kill", PHASE)["late_workers"] == []
    assert world.inside() == set()
    assert world.answered("user-1", **{"X-Group": "staff"}) == "monolith"
    until(lambda: unleash.rollout(READS) is None)
    strangler("ramp", PHASE, "--reads", "30")
    until(lambda: unleash.rollout(READS) == "30")
    until(lambda: world.calm)
    assert world.inside() == third

    # The server dies, and traffic goes on.
    unleash.kill()
    until(lambda: world.flags.degraded is not None)
    assert "degraded" in strangler.text("status")
    assert "last read" in str(world.admin.get("/-/readyz").json()["degraded"])
    assert world.metric("strangler_unleash_degraded") == 1
    assert world.inside() == third
    world.restart()
    assert world.inside() == third
    # Commands go on too, also for a worker that is started afterwards.
    assert strangler("ramp", PHASE, "--reads", "60")["late_workers"] == []
    _kill_a_worker(world)
    assert world.inside() == chosen(60)
    assert strangler("flags", "kill", PHASE)["late_workers"] == []
    assert world.inside() == set()
    assert world.flags.untold == (READS, f"{PHASE}.shadow")

    # It comes back, is told what happened, and is followed again.
    unleash.start()
    until(lambda: world.calm)
    assert unleash.rollout(READS) is None
    assert world.metric("strangler_unleash_degraded") == 0
    strangler("flags", "set", READS, "30")
    until(lambda: unleash.rollout(READS) == "30" and world.calm)
    unleash.move(READS, 60)
    until(lambda: world.inside() == chosen(60))

    # Who writes is none of its business.
    unleash.create(f"{PHASE}.writes", {"name": "default"})
    unleash.move(READS, 30)
    until(lambda: world.inside() == third)
    assert world.control.phase(PHASE).writers == (Side.MONOLITH,)
    assert strangler("audit", "verify")["broken"] is None
    # Rolled back: at once, everybody.
    assert strangler("rollback", PHASE)["stage"] == Stage.SHADOW
    assert world.inside() == set()


def chosen(percent: int) -> set[str]:
    """The users whom Unleash's rule lets in, without the one who never is."""
    return {user for user in USERS if user != "user-13" and bucket(PHASE, user) <= percent}


def _kill_a_worker(world: World) -> None:
    """SIGKILL one worker, and wait until another took its place."""
    before = world.workers
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(world.workers - before) == 1)
