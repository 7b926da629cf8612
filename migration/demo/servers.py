"""A PostgreSQL server to try things on: one that is given, or Docker's, or the system's own packages."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Engine, create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from migration.demo.errors import ProcessError, ServerUnavailableError
from migration.demo.processes import Process, free_port

# Where Debian and its kin keep the servers, one directory for each major version.
_PACKAGED = Path("/usr/lib/postgresql")

_ADMINISTRATION = "postgres"  # the database that every server has
_RECOVERY_SECONDS = 30.0
_FILES_SINCE = 150000  # the server version that copies a database by its files only if it is told to

_IMAGE = "postgres:16-alpine"
_REMEDY = "Give a server's URL, start Docker, or install PostgreSQL: `apt-get install postgresql`."

# A trial's data is thrown away, so it need not survive a power cut; the rest stays as production has it.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "dynamic_shared_memory_type": "mmap",  # containers often give /dev/shm 64 MB
}


class PostgreSQLServer:
    """A running server, with rights to create databases, for the length of a ``with`` block.

    ``given`` is the URL of a server to use as it is; without one Docker is tried, then the system's packages.
    Raises ServerUnavailableError, which names what each way lacked and the remedy.
    """

    def __init__(
        self,
        given: str | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        directory: Path | None = None,
        killable: bool = False,
    ) -> None:
        """``settings`` are added to the configuration of a server started here, and its data goes below
        ``directory``, by default that for temporary files. One that is ``killable`` is always this process's
        own child, from the system's packages."""
        self._given = given
        self._killable = killable
        self._settings = {**_SETTINGS, **(settings or {})}
        self._directory = directory
        self._resources = contextlib.ExitStack()
        self._address = URL.create("postgresql+psycopg")
        self._own: _Own | None = None
        self.origin = ""  # where it came from, in words

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as resources:
            self._address, self.origin = resources.enter_context(self._provided())
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._resources.close()

    def url(self, database: str = _ADMINISTRATION) -> str:
        """The SQLAlchemy URL of ``database``, for psycopg, with the password if there is one."""
        return self._address.set(database=database).render_as_string(hide_password=False)

    def execute(
        self, statement: str, database: str = _ADMINISTRATION, **parameters: Any
    ) -> list[tuple[Any, ...]]:
        """Run one statement as the server's administrator, outside a transaction; the rows it returns."""
        engine = self._administration
        if database != _ADMINISTRATION:
            engine = _engine(self._address.set(database=database))
        with engine.connect() as connection:
            result = connection.execute(text(statement), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    @cached_property
    def _administration(self) -> Engine:
        """Hundreds of databases are made and dropped by its connection, which a crash may cut."""
        engine = _engine(self._address.set(database=_ADMINISTRATION), QueuePool, pool_pre_ping=True)
        self._resources.callback(engine.dispose)
        return engine

    def crash(self) -> None:
        """SIGKILL a killable server, and return when it serves the same data again."""
        assert self._own is not None  # noqa: S101 - killable ones are started here
        self._own.process.kill()
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while True:
            self._own.process = self._own.start()
            try:
                self._own.process.wait_until(_connecting(self._address), 60, "did not accept connections")
            except ProcessError:
                # Until the last of the old server's children has noticed, its memory is in use.
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def create_database(self, *, copied: str | None = None) -> str:
        """Make a fresh database; its URL. It is empty, or a copy of one that nobody is connected to."""
        name = f"strangler_{uuid.uuid4().hex[:16]}"
        like = "template0" if copied is None else make_url(copied).database
        made = f'CREATE DATABASE "{name}" TEMPLATE "{like}" ENCODING \'UTF8\''
        if copied is not None and int(self.execute("SHOW server_version_num")[0][0]) >= _FILES_SINCE:
            made += " STRATEGY FILE_COPY"  # else every page of it goes through the log
        self.execute(made)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop the database of ``url``, closing whatever connections it still has."""
        self.execute(f'DROP DATABASE IF EXISTS "{make_url(url).database}" WITH (FORCE)')

    @contextlib.contextmanager
    def _provided(self) -> Iterator[tuple[URL, str]]:
        if self._given is not None:
            yield _answering(self._given), "given"
            return
        ways = {"the system's packages": self._from_packages}
        if not self._killable:
            ways = {"Docker": self._from_docker, **ways}
        lacking = []
        with contextlib.ExitStack() as resources:
            for name, way in ways.items():
                try:
                    address = resources.enter_context(way())
                except (ProcessError, ServerUnavailableError) as error:
                    lacking.append(f"{name}: {error}")
                else:
                    yield address, name
                    return
        raise ServerUnavailableError(f"No PostgreSQL to work on. {' '.join(lacking)} {_REMEDY}")

    @contextlib.contextmanager
    def _from_docker(self) -> Iterator[URL]:
        docker = shutil.which("docker")
        if docker is None or not _engine_runs(docker):
            raise ServerUnavailableError("no engine runs.")
        port = free_port()
        name = f"strangler-postgresql-{uuid.uuid4().hex[:8]}"
        options = ["--rm", "--name", name, "--publish", f"127.0.0.1:{port}:5432"]
        options += ["--env", "POSTGRES_HOST_AUTH_METHOD=trust"]
        with (
            tempfile.TemporaryDirectory(prefix="strangler-") as directory,
            Process(
                [docker, "run", *options, _IMAGE, "postgres", *self._arguments()],
                Path(directory) / "postgresql.log",
            ) as server,
        ):
            address = URL.create("postgresql+psycopg", "postgres", host="127.0.0.1", port=port)
            # The first start of the image may have to fetch it.
            server.wait_until(_connecting(address), 180, "did not accept connections")
            yield address

    @contextlib.contextmanager
    def _from_packages(self) -> Iterator[URL]:
        programs = _programs()
        if programs is None:
            raise ServerUnavailableError(f"neither PATH nor {_PACKAGED} has initdb and postgres.")
        user = _unprivileged_user()
        # Not below a directory of root's alone, such as pytest's: the server runs as another user.
        with tempfile.TemporaryDirectory(
            prefix="strangler-", dir=self._directory, ignore_cleanup_errors=True
        ) as directory:
            log = Path(directory) / "postgresql.log"
            data = Path(directory) / "data"
            if user is not None:
                shutil.chown(directory, user)
            initialise: list[str | Path] = [programs / "initdb", "--pgdata", data, "--username", "postgres"]
            initialise += ["--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"]
            with Process(initialise, log, user=user, directory=Path(directory)) as initdb:
                if initdb.wait(120) != 0:
                    raise ProcessError(f"initdb failed:\n{initdb.output()}")
            port = free_port()
            address = URL.create("postgresql+psycopg", "postgres", host="127.0.0.1", port=port)
            listen = {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": directory,
            }
            start = partial(
                Process,
                [programs / "postgres", "-D", data, *self._arguments(**listen)],
                log,
                user=user,
                directory=Path(directory),
                stop=signal.SIGINT,  # fast shutdown: it does not wait for clients to leave
            )
            self._own = own = _Own(start, start())
            try:
                own.process.wait_until(_connecting(address), 60, "did not accept connections")
                yield address
            finally:
                self._own = None
                own.process.terminate()

    def _arguments(self, **more: str) -> list[str]:
        return [part for name, value in (self._settings | more).items() for part in ("-c", f"{name}={value}")]


def installed() -> bool:
    """Whether the system has what a killable server needs."""
    return _programs() is not None


@dataclass(slots=True)
class _Own:
    """A server started here, and how to start it again."""

    start: Callable[[], Process]
    process: Process


def _engine(address: URL, pool: type[Pool] = NullPool, **pooling: Any) -> Engine:
    return create_engine(
        address,
        poolclass=pool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5},
        **pooling,
    )


def _connecting(address: URL) -> Callable[[], bool]:
    def connecting() -> bool:
        try:
            _engine(address.set(database=_ADMINISTRATION)).connect().close()
        except SQLAlchemyError:
            return False
        return True

    return connecting


def _answering(given: str) -> URL:
    address = make_url(given).set(drivername="postgresql+psycopg")
    try:
        _engine(address).connect().close()
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip()
        raise ServerUnavailableError(
            f"The PostgreSQL at {address!r} does not answer: {reason} {_REMEDY}"
        ) from error
    return address


def _engine_runs(docker: str) -> bool:
    try:
        subprocess.run([docker, "info"], capture_output=True, timeout=10, check=True)  # noqa: S603 - fixed
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _programs() -> Path | None:
    """The directory of initdb and postgres: PATH's, else the newest of the distribution's."""
    packaged = sorted(_PACKAGED.glob("*/bin"), key=lambda path: path.parent.name.zfill(4))
    candidates = [Path(directory) for directory in os.get_exec_path()] + packaged[::-1]
    return next(
        (path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None
    )


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: whom to run it as then; None when root is not at work."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid != 0}
    for name in ("postgres", "nobody"):
        if name in names:
            return name
    raise ServerUnavailableError("it does not run as root, and there is no user `postgres` or `nobody`.")
