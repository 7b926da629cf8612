"""What the control database's code did in each state that it met, so that it need not do it all again.

Thousands of orders pass through the same states: the code runs on SQLite the first time it is called in one,
and its effect is recalled from then on.
"""

import sqlite3
import zlib
from collections.abc import Callable, Hashable
from hashlib import blake2b
from typing import TypeVar

from migration.errors import MigrationError

T = TypeVar("T")


class Memory:
    """The states of one database, by number. ``state`` is where the model stands now."""

    def __init__(self, driver: sqlite3.Connection) -> None:
        self._driver = driver
        self._images: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._known: dict[tuple[int, Hashable], tuple[int, object, MigrationError | None]] = {}
        self._loaded = -1
        self.keep()

    def load(self) -> None:
        """Bring the database to the state."""
        if self._loaded != self.state:
            self._driver.deserialize(zlib.decompress(self._images[self.state]))
            self._loaded = self.state

    def keep(self) -> None:
        """The database was changed: where it stands now is the state."""
        image = bytes(self._driver.serialize())
        digest = blake2b(image, digest_size=16).digest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self._images)
            self._images.append(zlib.compress(image, 1))
        self.state = self._loaded = self._numbers[digest]

    def forget(self) -> None:
        """Other code is going to run from now on."""
        self._known.clear()

    def recall(self, call: Hashable, act: Callable[[], T]) -> T:
        """The result of a call, or the error that it raised, with its effect on the database."""
        known = (self.state, call)
        if known not in self._known:
            self.load()
            result: object = None
            error: MigrationError | None = None
            try:
                result = act()
            except MigrationError as raised:
                error = raised
            self.keep()
            self._known[known] = (self.state, result, error)
        self.state, result, error = self._known[known]
        if error is not None:
            raise error.with_traceback(None)
        return result  # type: ignore[return-value]  # as ``act`` returned it
