"""The real Unleash server that the tests run on."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from flags.unleash_account import Account
from migration.demo.errors import ProcessError, ServerUnavailableError
from migration.demo.processes import Process, free_port
from migration.demo.servers import PostgreSQLServer

ENVIRONMENT = "development"
ADMIN_TOKEN, TOKEN = "*:*.only-for-tests-admin", f"default:{ENVIRONMENT}.only-for-tests-client"

# The newest that runs on Node 20; what it needs is taken as it was on that day.
_VERSION, _DAY, _NODE = "7.4.1", "2026-11-20", 20
_IMAGE = f"unleashorg/unleash-server:{_VERSION}"
_START_SECONDS = 120
_REMEDY = (
    "Name a server in UNLEASH_URL with UNLEASH_TOKEN and UNLEASH_ADMIN_TOKEN, start Docker, or install Node "
    f"{_NODE} or newer with npm."
)
_SETTINGS = {
    "DATABASE_SSL": "false",
    "HTTP_HOST": "127.0.0.1",
    "CHECK_VERSION": "false",
    "SEND_TELEMETRY": "false",
    "INIT_ADMIN_API_TOKENS": ADMIN_TOKEN,
    "INIT_BACKEND_API_TOKENS": TOKEN,
}


class Unleash:
    """A running server. Only one that was started here as a process can be killed."""

    def __init__(self, account: Account, start: Callable[[], Process] | None = None) -> None:
        self.account = account
        self._start = start
        self._process: Process | None = None
        self.killed = False
        self.admin = httpx.Client(
            base_url=account.url, headers={"Authorization": account.admin_token}, trust_env=False, timeout=30
        )
        if start is not None:
            self.start()

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power."""
        if self._process is None:
            pytest.skip("the Unleash server was given: the tests do not kill what they did not start")
        self._process.kill()
        self.killed = True

    def start(self) -> None:
        """Start the server, also again after ``kill``, on the same data and port."""
        assert self._start is not None
        self._process = self._start()
        self.killed = False

    def stop(self) -> None:
        self.admin.close()
        if self._process is not None:
            self._process.kill()

    # What a person does in the user interface

    def create(self, name: str, *strategies: dict[str, Any]) -> None:
        """A flag that is on."""
        self._asked("POST", self._features, {"name": name, "type": "release"})
        for strategy in strategies:
            self._asked("POST", f"{self._environment(name)}/strategies", strategy)
        self._asked("POST", f"{self._environment(name)}/on")

    def move(self, name: str, rollout: int) -> None:
        """The percentage of the flag's gradual rollout."""
        place = f"{self._environment(name)}/strategies"
        strategy = next(filter(_gradual, self.strategies(name)))
        changed = {"parameters": {**strategy["parameters"], "rollout": str(rollout)}}
        self._asked("PUT", f"{place}/{strategy['id']}", {**strategy, **changed})

    def switch(self, name: str, *, on: bool) -> None:
        self._asked("POST", f"{self._environment(name)}/{'on' if on else 'off'}")

    def archive(self, name: str) -> None:
        """As if it had never been there."""
        if self.admin.get(f"{self._features}/{name}").status_code == 200:
            self._asked("DELETE", f"{self._features}/{name}")
            self._asked("DELETE", f"/api/admin/archive/{name}")

    def strategies(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._asked("GET", f"{self._environment(name)}/strategies").json()
        return found

    def rollout(self, name: str) -> str | None:
        """The percentage that Unleash has of the flag, None when it is off or not there."""
        answer = self.admin.get(self._environment(name))
        if answer.status_code == 404 or not answer.raise_for_status().json()["enabled"]:
            return None
        shares = [each for each in self.strategies(name) if _gradual(each)]
        return str(shares[0]["parameters"]["rollout"]) if shares else None

    @property
    def _features(self) -> str:
        return f"/api/admin/projects/{self.account.project}/features"

    def _environment(self, name: str) -> str:
        return f"{self._features}/{name}/environments/{self.account.environment}"

    def _asked(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        answer = self.admin.request(method, path, json=body)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer


def _gradual(strategy: dict[str, Any]) -> bool:
    return strategy["name"] == "flexibleRollout" and not strategy["constraints"]


@contextmanager
def provided(database: Callable[[], str]) -> Iterator[Unleash]:
    """A server, on a database that is asked for when one has to be started.

    Raises ServerUnavailableError, which says what each way lacked.
    """
    if given := os.environ.get("UNLEASH_URL"):
        tokens = os.environ.get("UNLEASH_TOKEN", ""), os.environ.get("UNLEASH_ADMIN_TOKEN", "")
        server = Unleash(Account(given, "default", ENVIRONMENT, *tokens))
        try:
            server.admin.get("/health").raise_for_status()
        except httpx.HTTPError as error:
            raise ServerUnavailableError(f"Unleash at {given} does not answer: {error}. {_REMEDY}") from error
        yield server
        return
    lacking = []
    with ExitStack() as resources:
        for name, way in {"Docker": _docker, "Node": _node}.items():
            try:
                command = way()
                server = resources.enter_context(_started(command, database()))
            except (ProcessError, ServerUnavailableError) as error:
                lacking.append(f"{name}: {error}")
            else:
                yield server
                return
    raise ServerUnavailableError(f"No Unleash to work on. {' '.join(lacking)} {_REMEDY}")


@contextmanager
def _started(command: Callable[[dict[str, str]], list[str | Path]], database: str) -> Iterator[Unleash]:
    port = free_port()
    plain = make_url(database).set(drivername="postgres").render_as_string(hide_password=False)
    settings = _SETTINGS | {"HTTP_PORT": str(port), "DATABASE_URL": plain}
    with tempfile.TemporaryDirectory(prefix="strangler-") as directory:

        def start() -> Process:
            process = Process(
                command(settings), Path(directory) / "unleash.log", environment={**os.environ, **settings}
            )
            try:
                process.wait_for_http(f"http://127.0.0.1:{port}/health", _START_SECONDS)
            except ProcessError:
                process.kill()
                raise
            return process

        account = Account(f"http://127.0.0.1:{port}", "default", ENVIRONMENT, TOKEN, ADMIN_TOKEN)
        server = Unleash(account, start)
        try:
            yield server
        finally:
            server.stop()


def _docker() -> Callable[[dict[str, str]], list[str | Path]]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        raise ServerUnavailableError("no engine runs.")
    return lambda settings: [
        *(docker, "run", "--rm", "--network", "host"),
        *(part for name in settings for part in ("--env", name)),
        _IMAGE,
    ]


def _node() -> Callable[[dict[str, str]], list[str | Path]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise ServerUnavailableError("there is no `node` and `npm` in PATH.")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.strip().lstrip("v").partition(".")[0]) < _NODE:
        raise ServerUnavailableError(f"`node` is {said.strip()}, older than {_NODE}.")
    program = _installed(npm) / "node_modules" / "unleash-server" / "dist" / "server.js"
    return lambda _: [node, "--no-deprecation", program]


def _installed(npm: str) -> Path:
    """The directory of the cache that holds the server, installed into it when it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strangler-fig" / "unleash"
    home = cache / _VERSION
    if home.exists():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=f"{_VERSION}.") as directory:
        partial = Path(directory) / _VERSION
        partial.mkdir()
        (partial / "package.json").write_text('{"private": true}')
        command = [npm, "install", "--no-audit", "--no-fund", "--omit=dev", "--ignore-scripts"]
        command += [f"--before={_DAY}", f"unleash-server@{_VERSION}"]
        try:
            subprocess.run(command, cwd=partial, capture_output=True, text=True, check=True, timeout=600)
        except subprocess.CalledProcessError as error:
            reason = error.stderr.strip()[-500:]
            raise ServerUnavailableError(
                f"unleash-server {_VERSION} cannot be installed: {reason}"
            ) from error
        if not home.exists():  # unless another run was quicker
            partial.rename(home)
    return home


@pytest.fixture(scope="session")
def unleash_server(postgresql_server: PostgreSQLServer) -> Iterator[Unleash]:
    """One server for the session: UNLEASH_URL, else Docker's, else npm's, on a PostgreSQL of the tests."""
    with ExitStack() as resources:
        try:
            server = resources.enter_context(provided(postgresql_server.create_database))
        except ServerUnavailableError as error:
            # In CI a test that does not run is a test that is missing.
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
        yield server


@pytest.fixture
def unleash(unleash_server: Unleash) -> Iterator[Unleash]:
    """The server, running, without the flags that tests use."""
    names = [f"{phase}.{kind}" for phase in ("search", "other") for kind in ("reads", "writes", "shadow")]
    _revive(unleash_server)
    for name in names:
        unleash_server.archive(name)
    yield unleash_server
    _revive(unleash_server)


def _revive(server: Unleash) -> None:
    """Start it where a test killed it; one that is only slow to answer is waited for."""
    if server.killed:
        server.start()
    until(lambda: _answers(server))


def _answers(server: Unleash) -> bool:
    try:
        return server.admin.get("/health").is_success
    except httpx.HTTPError:
        return False


def until(seen: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait until something is seen, and say how many seconds that took."""
    begin = time.monotonic()
    while not seen():
        assert time.monotonic() - begin < seconds, "it was never seen"
        time.sleep(0.02)
    return time.monotonic() - begin
