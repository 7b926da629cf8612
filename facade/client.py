"""Who an exchange answers: a client's connection, or the facade itself when it asks for a part."""

import asyncio
from typing import Protocol

from facade.headers import Fields


class Client(Protocol):
    """``closing``: it ends with the present answer. ``stashed`` bytes came and are not read yet; ``trailers``
    are the lines behind the present request's body."""

    transport: asyncio.Transport
    closing: bool

    @property
    def stashed(self) -> int: ...

    @property
    def trailers(self) -> bytes: ...

    def write(self, data: bytes) -> None: ...

    def address(self, fields: Fields) -> str:
        """Its own address, as far as it is known from trusted hops."""

    def read_body(self) -> None:
        """Hand the body to the exchange as it comes."""

    def pause_body(self) -> None:
        """Leave the rest of the body unread."""

    def finished(self) -> None:
        """The answer is whole."""

    def abort(self) -> None:
        """The answer cannot become whole."""
