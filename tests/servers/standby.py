"""A physical standby of a PostgreSQL server that was started here."""

import getpass
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa

from migration.demo.processes import Process, free_port
from migration.demo.servers import PostgreSQLServer


@contextmanager
def standby(primary: PostgreSQLServer) -> Iterator[sa.URL]:
    """A copy of the killable ``primary`` that replays what it writes; the URL of its database postgres."""
    [(data,)] = primary.execute("SHOW data_directory")
    [(programs,)] = primary.execute("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
    owner = Path(data).owner()
    user = None if owner == getpass.getuser() else owner
    source = sa.make_url(primary.url())
    with tempfile.TemporaryDirectory(prefix="strangler-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        if user is not None:
            shutil.chown(directory, user)
        copy: list[str | Path] = [
            Path(programs) / "pg_basebackup",
            "--pgdata",
            directory / "data",
            "--no-sync",
        ]
        copy += ["--write-recovery-conf", "--checkpoint", "fast", "--username", "postgres"]
        copy += ["--host", str(source.host), "--port", str(source.port)]
        with Process(copy, directory / "backup.log", user=user, directory=directory) as backup:
            if backup.wait(120) != 0:
                raise AssertionError(f"pg_basebackup failed:\n{backup.output()}")
        url = source.set(port=free_port())
        serve: list[str | Path] = [Path(programs) / "postgres", "-D", directory / "data"]
        serve += ["-c", f"port={url.port}", "-c", f"unix_socket_directories={name}", "-c", "fsync=off"]
        serve += ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        with Process(serve, directory / "standby.log", user=user, directory=directory) as server:
            server.wait_until(lambda: _answers(url), 60, "did not accept connections")
            yield url


def _answers(url: sa.URL) -> bool:
    try:
        psycopg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)).close()
    except psycopg.OperationalError:
        return False
    return True
