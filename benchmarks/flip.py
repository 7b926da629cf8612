"""How long a flip takes: from the start of the write until every worker says so, and until each answers so.

Both of the facade's workers are asked all the time, over a connection that is kept open to each. Neither sign
is believed alone: a flip is over when all report its revision and all answer from the new side.
"""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from itertools import cycle, islice
from pathlib import Path
from threading import Condition, Event, Thread
from urllib.parse import urlsplit

from benchmarks.scratch import PHASE, WORKERS, Databases, Scratch, scratch
from flags.percent import FULL
from flags.unleash_mirror import settling
from migration.flag_desk import FlagDesk
from migration.following import home
from migration.stages import Stage
from migration.workers import ControlWorkers
from tests.servers.unleash import Unleash, until

SIDES = {0: b"monolith", FULL: b"service"}
"""Which application answers at which share."""
PATIENCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.001
_APART_SECONDS = 0.05
_CONNECTIONS = 64


class Asker:
    """One kept connection, to the worker whose name is ``worker``; asks who answers until ``ending`` is set.

    ``since`` is when the answers began to come from ``side``, in seconds of ``time.perf_counter``.
    """

    def __init__(self, connection: HTTPConnection, path: str, changed: Condition) -> None:
        self._connection = connection
        self._path = path
        self._changed = changed
        self.side, self.worker = self._ask()
        self.since = 0.0

    def run(self, ending: Event) -> None:
        while not ending.wait(_PAUSE_SECONDS):
            side, _ = self._ask()
            if side != self.side:
                with self._changed:
                    self.side, self.since = side, time.perf_counter()
                    self._changed.notify_all()

    def _ask(self) -> tuple[bytes, str]:
        self._connection.request("GET", self._path)
        response = self._connection.getresponse()
        # A worker numbers the requests to which it gives a name, behind a name of its own.
        return response.read(), response.headers["x-request-id"].rpartition("-")[0]


def flips(count: int) -> list[float]:
    """How many milliseconds each of ``count`` flips took, between 0 and 100 % by turns."""
    with (
        tempfile.TemporaryDirectory(prefix="strangler-flip-") as directory,
        scratch(Path(directory), Databases.sqlite(Path(directory)), moves_data=False) as migration,
    ):
        migration.reach(Stage.RAMP)
        changed = Condition()
        with asking(migration.url, changed) as askers:
            return [flip(migration, share, askers, changed) for share in islice(cycle((FULL, 0)), count)]


def flips_in_unleash(count: int, server: Unleash) -> list[float]:
    """The same, by a change made in Unleash: until each worker answers so."""
    account, name = server.account, f"{PHASE}.reads"
    tokens = (("token", account.token), ("admin_token", account.admin_token))
    with tempfile.TemporaryDirectory(prefix="strangler-flip-") as directory:
        for file, token in tokens:
            Path(directory, file).write_text(token)
        said = {"url": account.url, "environment": account.environment, "project": account.project}
        said |= {f"{file}_file": file for file, _ in tokens}
        flags = "[flags.unleash]\n" + "".join(f'{key} = "{value}"\n' for key, value in said.items())
        databases = Databases.sqlite(Path(directory))
        server.archive(name)
        with scratch(Path(directory), databases, moves_data=False, flags=flags) as migration:
            migration.reach(Stage.RAMP)
            until(lambda: _at_rest(migration, account.url))
            changed = Condition()
            with asking(migration.url, changed) as askers:
                return [
                    flip_in_unleash(server, name, share, askers, changed)
                    for share in islice(cycle((FULL, 0)), count)
                ]


def _at_rest(migration: Scratch, url: str) -> bool:
    """Whether Unleash knows of every change made here, and for long enough that its word counts again."""
    flags = migration.wiring.flags.list()
    return not home(migration.wiring.control, url).untold and not any(settling(f, time.time()) for f in flags)


def flip_in_unleash(
    server: Unleash, name: str, share: int, askers: Sequence[Asker], changed: Condition
) -> float:
    """Milliseconds for one. Raises RuntimeError when a worker goes on answering from the other side."""
    side = SIDES[share]
    time.sleep(random.uniform(0, 1))  # Unleash looks once a second for what changed in it
    began = time.perf_counter()
    server.move(name, share // 100)
    with changed:
        if not changed.wait_for(lambda: all(asker.side == side for asker in askers), PATIENCE_SECONDS):
            raise RuntimeError(f"a worker does not answer from the {side.decode()}")
        return (max(asker.since for asker in askers) - began) * 1000


def flip(migration: Scratch, share: int, askers: Sequence[Asker], changed: Condition) -> float:
    """Milliseconds for one. Raises RuntimeError when a worker goes on answering from the other side."""
    wiring, side = migration.wiring, SIDES[share]
    # Apart by chance, or every flip would begin when the workers have just looked.
    time.sleep(random.uniform(0, _APART_SECONDS))
    began = time.perf_counter()
    revision = FlagDesk(wiring.control, wiring.flags).set_share(f"{PHASE}.reads", share)
    ControlWorkers(wiring.control).wait_for_revision(revision, time.monotonic() + PATIENCE_SECONDS)
    reported = time.perf_counter()
    with changed:
        if not changed.wait_for(lambda: all(asker.side == side for asker in askers), PATIENCE_SECONDS):
            raise RuntimeError(
                f"a worker reports revision {revision}, and does not answer from the {side.decode()}"
            )
        answered = max(asker.since for asker in askers)
    return (max(reported, answered) - began) * 1000


@contextmanager
def asking(url: str, changed: Condition) -> Iterator[list[Asker]]:
    """One asker for each worker, at work."""
    address = urlsplit(url)
    with ExitStack() as stack:
        askers: dict[str, Asker] = {}
        for _ in range(_CONNECTIONS):
            connection = stack.enter_context(
                closing(HTTPConnection(address.netloc, timeout=PATIENCE_SECONDS))
            )
            asker = Asker(connection, address.path, changed)
            askers.setdefault(asker.worker, asker)
            if len(askers) == WORKERS:
                break
        else:
            raise RuntimeError(f"{_CONNECTIONS} connections reached {len(askers)} of {WORKERS} workers")
        ending = Event()
        threads = [Thread(target=asker.run, args=(ending,)) for asker in askers.values()]
        for thread in threads:
            thread.start()
        try:
            yield list(askers.values())
        finally:
            ending.set()
            for thread in threads:
                thread.join()
