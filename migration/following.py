"""Following Unleash: the embedded store, which all workers evaluate, is kept equal to what the server says.

One process of all hosts does it at a time, the one with the lease. Whatever goes wrong, the store stays as it
is: it is the last known good state (I6), and outlives restarts of everything.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from flags.errors import FlagError, UnleashError
from flags.store import EmbeddedStore, StoredFlag
from flags.tables import flag_home
from flags.unleash_account import Account
from flags.unleash_mirror import Served, differing, served, untold
from migration.control import Control, upsert
from migration.errors import LeaseHeld
from migration.lease import Lease, new_holder

if TYPE_CHECKING:
    from flags.unleash_server import UnleashServer

EVERY_SECONDS = 0.25
"""How often Unleash is asked whether anything changed. It takes up to a second itself to say so."""
NOTE_SECONDS = 1.0
OLD_SECONDS = 5.0
"""An Unleash that was not read for so long is told as trouble, also when nobody is there to read it."""
LEASE = "flags/unleash"
_SOURCE = "unleash"

Over = Callable[[float], bool]
"""Waits for so many seconds, and says whether to stop."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Home:
    """An Unleash server as it was found last. ``age_seconds`` is None before it was ever read.

    ``degraded`` says why the flags may be old, and ``untold`` names those changed here that it does not know.
    """

    url: str
    age_seconds: float | None
    degraded: str | None
    untold: tuple[str, ...]


class Follower:
    """Carries the flags of these phases between an Unleash server and the store. For one thread."""

    def __init__(self, control: Control, server: "UnleashServer", url: str, phases: Collection[str]) -> None:
        self._control = control
        self._server = server
        self._url = url
        self._phases = frozenset(phases)
        self._store = EmbeddedStore(control.engine)
        self._said: Served | None = None
        self._noted: tuple[float, str | None] | None = None

    def follow(self, over: Over) -> None:
        """Until it is ``over``. While another process has the lease, see now and then whether it lives."""
        while not over(0.0):
            try:
                with Lease.acquire(self._control, LEASE, new_holder()) as lease:
                    self._hold(lease, over)
            except LeaseHeld:
                over(NOTE_SECONDS)

    def _hold(self, lease: Lease, over: Over) -> None:
        self._said, self._noted = None, None  # what was known before may be old
        self._server.forget()
        while not over(EVERY_SECONDS):
            self.turn(lease)

    def turn(self, lease: Lease) -> None:
        """Tell what was changed here, read what was changed there, note how it went."""
        troubles = []
        stored = self._store.list()
        for flag in untold(stored):
            try:
                self._server.tell(flag.feature)
            except UnleashError as error:
                troubles.append(f"{flag.name} is not told: {error}")
                break  # the others would fare the same, one deadline after another
            self._store.told(flag)
        read = True
        try:
            document = self._server.read()
            if document is not None:
                self._said = served(document, lambda name: name.rpartition(".")[0] in self._phases)
        except FlagError as error:
            read = False
            troubles.append(str(error))
        if self._said is not None:
            troubles += [f"{name} stays as it was: {why}" for name, why in self._said.refused.items()]
            self._take(lease, self._said)
        self._note(lease, read, "; ".join(troubles) or None)

    def _take(self, lease: Lease, said: Served) -> None:
        if not any(differing(said, self._store.list(), time.time())):
            return
        with self._control.change() as change:
            lease.hold(change.connection)
            before = {flag.name: flag for flag in self._store.list(within=change.connection)}
            features, gone = differing(said, list(before.values()), time.time())
            self._store.take(features, gone, change.connection, _SOURCE)
            after = {flag.name: flag for flag in self._store.list(within=change.connection)}
            for name in sorted({feature.name for feature in features} | set(gone)):
                self._control.audit(
                    change.connection,
                    _SOURCE,
                    f"flag {name}",
                    _shown(before.get(name)),
                    _shown(after.get(name)),
                )

    def _note(self, lease: Lease, read: bool, trouble: str | None) -> None:
        """Leave for `strangler status` how it went: at once when that changed, else once a second."""
        if self._noted is not None:
            at, before = self._noted
            if before == trouble and time.monotonic() - at < NOTE_SECONDS:
                return
        if trouble is not None and (self._noted is None or self._noted[1] is None):
            _log.warning("flags are served as they were: %s", trouble)
        with self._control.write() as connection:
            lease.hold(connection)
            values = {"id": 1, "url": self._url, "trouble": trouble}
            if read:
                values["reached_at"] = self._control.now(connection)
            elif connection.scalar(select(flag_home.c.url)) not in {None, self._url}:
                values["reached_at"] = None
            upsert(connection, flag_home, values, key=("id",))
        self._noted = time.monotonic(), trouble


def follow(control: Control, account: Account, phases: Collection[str], over: Over) -> None:
    """Follow the account's server until it is ``over``. Raises MigrationError and SQLAlchemyError."""
    from flags.unleash_server import UnleashServer  # noqa: PLC0415 - slow to import, and few plans need it

    with UnleashServer(account) as server:
        Follower(control, server, account.url, phases).follow(over)


def home(control: Control, url: str) -> Home:
    """How the Unleash server at ``url`` is followed."""
    with control.read() as connection:
        row = connection.execute(select(flag_home).where(flag_home.c.url == url)).one_or_none()
        now = control.now(connection)
        pending = tuple(flag.name for flag in untold(EmbeddedStore(control.engine).list(within=connection)))
    if row is None:
        return Home(url, None, f"Unleash at {url} was never followed: start `strangler serve`.", pending)
    if row.reached_at is None:
        return Home(url, None, row.trouble or f"Unleash at {url} was never reached.", pending)
    age = max(0.0, now - row.reached_at)
    trouble = row.trouble
    if trouble is None and age > OLD_SECONDS:
        trouble = f"Unleash at {url} is not followed: is `strangler serve` running?"
    return Home(url, age, None if trouble is None else f"{trouble} (last read {age:.0f} s ago)", pending)


def _shown(flag: StoredFlag | None) -> dict[str, object]:
    if flag is None:
        return {}
    return {"on": flag.feature.enabled, "share": flag.share, "strategies": len(flag.feature.strategies)}
