"""isso, the comment server from PyPI, unmodified and started as its documentation says."""

import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from migration.demo.processes import Process, free_port

# What an operator writes. The website need not answer: clients send each new thread's title themselves.
# The guard stays on, with limits that one address full of test visitors does not reach. Addresses come from
# the proxy in front, as the documentation asks for.
_CONFIGURATION = """
[general]
dbpath = {database}
host = http://127.0.0.1:9/
max-age = 1h
latest-enabled = true
[server]
listen = http://127.0.0.1:{port}
trusted-proxies = 127.0.0.1
[guard]
enabled = true
ratelimit = 1000000
direct-reply = 1000000
reply-to-self = true
"""


class Isso:
    """One isso on its own database and port; its tables exist once it has been started."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = directory / "comments.db"
        self._configuration = directory / "isso.cfg"
        self._configuration.write_text(_CONFIGURATION.format(database=self.database, port=self.port))
        self._log = directory / "isso.log"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it and return when it answers. Raises ProcessError."""
        program = Path(sys.executable).with_name("isso")
        self._process = Process([program, "-c", self._configuration, "run"], self._log)
        self._process.wait_for_http(f"{self.url}/info")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query of its database gives, beside isso."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query, parameters).fetchall()

    def triggers(self) -> dict[str, str]:
        """The SQL of each trigger in its database, by name."""
        return dict(self.rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))

    def session_key(self) -> str:
        """The key that signs the cookies with which visitors may edit."""
        ((key,),) = self.rows("SELECT value FROM preferences WHERE key = 'session-key'")
        return str(key)
