"""The real PostgreSQL that the tests run on."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from migration.demo.errors import ServerUnavailableError
from migration.demo.servers import PostgreSQLServer, installed

_MEMORY = Path("/dev/shm")
_ROOM = 4 << 30  # bytes, of which each of the processes that run the tests takes some hundred million
_SETTINGS = {"max_wal_size": "256MB"}


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for the session: STRANGLER_TEST_POSTGRESQL, else Docker's, else the system's packages."""
    with ExitStack() as resources:
        try:
            given = os.environ.get("STRANGLER_TEST_POSTGRESQL") or None
            server = resources.enter_context(
                PostgreSQLServer(given, settings=_SETTINGS, directory=_in_memory())
            )
        except ServerUnavailableError as error:
            _missing(str(error))
        yield server


@pytest.fixture(scope="session")
def postgresql_programs() -> None:
    """For tests that kill servers: those have to be started from the system's packages."""
    if not installed():
        _missing(
            "No PostgreSQL to kill: neither PATH nor /usr/lib/postgresql has initdb and postgres. "
            "Install it: `apt-get install postgresql`."
        )


def _in_memory() -> Path | None:
    """To make a database takes a fraction of the time there, and the tests make well over a thousand."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM else None


def _missing(what: str) -> NoReturn:
    # In CI a test that does not run is a test that is missing.
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(what)
    raise AssertionError


@pytest.fixture
def postgresql_database(postgresql_server: PostgreSQLServer) -> Iterator[Callable[[], str]]:
    """Makes a fresh database at each call and gives its URL; all of them are dropped after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(postgresql_server.create_database())
        return made[-1]

    yield make
    for url in made:
        postgresql_server.drop_database(url)
