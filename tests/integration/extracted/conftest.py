"""A seeded monolith beside the search service, filled through the mapping of the reference plan."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from extracted.search import app as service
from extracted.search import database as service_database
from extracted.search.tokens import Verifier
from migration.demo.servers import PostgreSQLServer
from monolith import app as monolith
from monolith import database as monolith_database
from monolith.auth.tokens import Tokens
from monolith.generator import Sizes
from monolith.seed import fill
from tests.integration.extracted.pairs import SECRET, Copy, Pair, copy_postgresql, copy_sqlite

PLAN = Path(__file__).parents[3] / "deploy" / "reference.toml"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("pair")
        yield from _pair(f"sqlite:///{folder}/monolith.db", f"sqlite:///{folder}/search.db", copy_sqlite)
        return
    server: PostgreSQLServer = request.getfixturevalue("postgresql_server")
    urls = server.create_database(), server.create_database()
    yield from _pair(*urls, copy_postgresql)
    for url in urls:
        server.drop_database(url)


def _pair(monolith_url: str, service_url: str, copy: Copy) -> Iterator[Pair]:
    fill(monolith_url, 1, Sizes(resources=600, users=5, saved_searches=150))
    service_database.upgrade(service_url)
    old = monolith_database.Database(monolith_url)
    new = service_database.Database(service_url)
    tables = tomllib.loads(PLAN.read_text())["phases"][0]["tables"]
    pair = Pair(
        monolith.create_app(old, Tokens(SECRET)),
        service.create_app(new, Verifier(SECRET)),
        old.engine,
        new.engine,
        copy,
        tables,
    )
    pair.forward()
    yield pair
    old.dispose()
    new.dispose()
