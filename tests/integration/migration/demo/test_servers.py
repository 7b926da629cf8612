"""The ladder that ends in a running PostgreSQL, or in a remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from migration.demo.errors import ServerUnavailableError
from migration.demo.processes import free_port
from migration.demo.servers import PostgreSQLServer


def test_each_database_is_fresh(postgresql_database: Callable[[], str]) -> None:
    urls = [postgresql_database(), postgresql_database()]
    for url in urls:
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE only_here (id int)"))
        engine.dispose()
    assert len(set(urls)) == 2


def test_a_given_server_is_used_as_it_is(postgresql_server: PostgreSQLServer) -> None:
    with PostgreSQLServer(postgresql_server.url()) as server:
        assert server.origin == "given"
        url = server.create_database()
        name = make_url(url).database
        assert server.execute("SELECT current_database()", str(name)) == [(name,)]
        server.drop_database(url)
        assert not server.execute("SELECT FROM pg_database WHERE datname = :name", name=name)


def test_a_given_server_that_does_not_answer_is_named_without_its_password() -> None:
    port = free_port()
    with (
        pytest.raises(ServerUnavailableError, match=f"127.0.0.1:{port}.* does not answer") as raised,
        PostgreSQLServer(f"postgresql://someone:hunter2@127.0.0.1:{port}/postgres"),
    ):
        pass
    assert "hunter2" not in str(raised.value)
    assert "apt-get install postgresql" in str(raised.value)


def test_without_any_server_each_way_says_what_it_lacked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("migration.demo.servers._PACKAGED", tmp_path)
    with (
        pytest.raises(
            ServerUnavailableError, match=r"Docker: no engine runs.*neither PATH nor.*apt-get install"
        ),
        PostgreSQLServer(),
    ):
        pass


@pytest.mark.usefixtures("postgresql_programs")
def test_a_server_that_crashed_serves_the_same_data_again() -> None:
    with PostgreSQLServer(killable=True) as server:
        name = str(make_url(server.create_database()).database)
        server.crash()
        assert server.execute("SELECT current_database()", name) == [(name,)]
