"""The real Kafka broker that the tests run on."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from migration.demo.errors import ProcessError, ServerUnavailableError
from migration.demo.processes import Process, free_port

USER, PASSWORD = "strangler", "only-for-tests"

_IMAGE = "apache/kafka:4.1.2"
_CENTRAL = "https://repo1.maven.org/maven2"
_JAVA = 17
_REMEDY = (
    "Name a broker in KAFKA_BOOTSTRAP, start Docker, or install Java: `apt-get install default-jre-headless`."
)
# What org.apache.kafka:kafka_2.13 needs to run: a SHA-256 and a path in a Maven repository on each line.
_JARS = Path(__file__).with_name("kafka_jars.txt")

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl.plain.sasl.jaas.config": (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    ),
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "log.cleaner.backoff.ms": "200",
    # So long a broker that was killed must wait before it may come back: 9 s by default.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "400",
}


class KafkaServer:
    """A running broker with a cluster of its own, unless it was given.

    ``sasl`` is the address of the listener that asks for USER and PASSWORD, which a given broker has not.
    Only one that was started here as a process can be killed.
    """

    def __init__(
        self, bootstrap: str, sasl: str | None = None, start: Callable[[], Process] | None = None
    ) -> None:
        self.bootstrap = bootstrap
        self._sasl = sasl
        self._start = start
        self._process: Process | None = None
        if start is not None:
            self.start()

    @property
    def session_ms(self) -> int:
        """How soon the broker may take a member of a group for dead: brokers are not so quick by default."""
        return 6_000 if self._sasl is None else 1_500

    @property
    def sasl(self) -> str:
        if self._sasl is None:
            pytest.skip("the broker was given: it has no listener with a password that the tests know")
        return self._sasl

    def kill(self) -> None:
        """SIGKILL, as a machine that loses its power; what was acknowledged is on disk."""
        if self._process is None:
            pytest.skip("the broker was given: the tests do not kill what they did not start")
        self._process.kill()

    def start(self) -> None:
        """Start the broker, also again after ``kill``, on the same data and ports."""
        assert self._start is not None
        self._process = self._start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()


@contextmanager
def _provided() -> Iterator[KafkaServer]:
    """Raises ServerUnavailableError, which says what each way lacked."""
    if given := os.environ.get("KAFKA_BOOTSTRAP"):
        yield KafkaServer(_answering(given))
        return
    lacking = []
    with ExitStack() as resources:
        for name, way in {"Docker": _from_docker, "Java": _from_jars}.items():
            try:
                server = resources.enter_context(way())
            except (ProcessError, ServerUnavailableError) as error:
                lacking.append(f"{name}: {error}")
            else:
                yield server
                return
    raise ServerUnavailableError(f"No Kafka to work on. {' '.join(lacking)} {_REMEDY}")


def _answering(bootstrap: str) -> str:
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ServerUnavailableError(
            f"The broker at {bootstrap} does not answer: {error}. {_REMEDY}"
        ) from error
    return bootstrap


@contextmanager
def _from_docker() -> Iterator[KafkaServer]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
        raise ServerUnavailableError("no engine runs.")
    ports = {name: free_port() for name in ("PLAINTEXT", "SASL", "CONTROLLER")}
    settings = _SETTINGS | _listeners(ports)
    # The image's own way to be configured: dots become underscores, underscores double.
    names = {name: "KAFKA_" + name.replace("_", "__").replace(".", "_").upper() for name in settings}
    environment = [part for name, value in settings.items() for part in ("--env", f"{names[name]}={value}")]
    command = [docker, "run", "--rm", "--network", "host", *environment, _IMAGE]
    with (
        tempfile.TemporaryDirectory(prefix="strangler-") as directory,
        Process(command, Path(directory) / "kafka.log") as broker,
    ):
        broker.wait_for_port(ports["PLAINTEXT"], 180)  # the first start may have to fetch the image
        yield KafkaServer(f"127.0.0.1:{ports['PLAINTEXT']}", f"127.0.0.1:{ports['SASL']}")


@contextmanager
def _from_jars() -> Iterator[KafkaServer]:
    java = _java()
    jars = [_jar(*line.split()) for line in _JARS.read_text().splitlines()]
    run = [java, "-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    run += ["-cp", os.pathsep.join(map(str, jars))]
    with tempfile.TemporaryDirectory(prefix="strangler-", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        ports = {name: free_port() for name in ("PLAINTEXT", "SASL", "CONTROLLER")}
        settings = _SETTINGS | _listeners(ports) | {"log.dirs": str(home / "data")}
        file = home / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        cluster = uuid.uuid4().hex[:22]
        formatting = [
            *run,
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster,
            "--config",
            str(file),
        ]
        with Process(formatting, home / "format.log") as process:
            if process.wait(120) != 0:
                raise ProcessError(f"the broker's directory could not be made:\n{process.output()}")

        def start() -> Process:
            broker = Process([*run, "kafka.Kafka", str(file)], home / "kafka.log")
            try:
                for name in ("PLAINTEXT", "SASL"):
                    broker.wait_for_port(ports[name], 120)
            except ProcessError:
                broker.kill()
                raise
            return broker

        server = KafkaServer(f"127.0.0.1:{ports['PLAINTEXT']}", f"127.0.0.1:{ports['SASL']}", start)
        try:
            yield server
        finally:
            server.stop()


def _listeners(ports: dict[str, int]) -> dict[str, str]:
    addresses = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
    return {
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(a for name, a in addresses.items() if name != "CONTROLLER"),
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
    }


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise ServerUnavailableError("there is no `java` in PATH.")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA:
        raise ServerUnavailableError(f"`java` is older than {_JAVA}.")
    return java


def _jar(digest: str, path: str) -> Path:
    """The jar from the cache, fetched into it when it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "strangler-fig" / "kafka"
    file = cache / path.rpartition("/")[2]
    if not file.exists():
        url = f"{os.environ.get('MAVEN_REPOSITORY', _CENTRAL).rstrip('/')}/{path}"
        try:
            content = httpx.get(url, timeout=60, follow_redirects=True).raise_for_status().content
        except httpx.HTTPError as error:
            raise ServerUnavailableError(
                f"{url} cannot be fetched: {error}. Name a repository in MAVEN_REPOSITORY."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise ServerUnavailableError(f"{url} is not the file that was expected: its SHA-256 differs.")
        cache.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(file)
    return file


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[KafkaServer]:
    """One broker for the session: KAFKA_BOOTSTRAP, else Docker's, else jars from a Maven repository."""
    with ExitStack() as resources:
        try:
            server = resources.enter_context(_provided())
        except ServerUnavailableError as error:
            # In CI a test that does not run is a test that is missing.
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
        yield server
