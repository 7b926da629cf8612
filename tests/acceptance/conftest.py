"""A running migration: the reference applications, the facade with two workers and the relay."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from migration.demo.environment import Databases, Environment, Size
from migration.demo.servers import PostgreSQLServer
from tests.acceptance.command import CHECKOUT

SIZE = Size(resources=300, users=10)


@pytest.fixture(scope="session", autouse=True)
def _patient() -> Iterator[None]:
    """Clients wait longer than by default, so that a busy machine cancels no switch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRANGLER_FACADE__TIMEOUTS__HOLD", "5")
        yield


@pytest.fixture(scope="module")
def environments(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Environment]]:
    """Gives the module's environment on ``sqlite`` or ``postgresql``; asking for the other ends it."""
    running: dict[str, Environment] = {}
    with ExitStack() as stack:

        def environment(engine: str) -> Environment:
            if engine not in running:
                running.clear()
                stack.close()
                databases: str | Databases = engine
                if engine == "postgresql":
                    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
                    databases = Databases(*(server.create_database() for _ in range(3)))
                directory: Path = tmp_path_factory.mktemp(engine)
                running[engine] = stack.enter_context(Environment(CHECKOUT, directory, databases, SIZE))
            return running[engine]

        yield environment
