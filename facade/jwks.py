"""An issuer's public keys, fetched from its JWKS URL in the background and kept over its failures."""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic

import httpx
import jwt

PATIENCE = 10.0
"""Seconds between fetches that unknown keys cause: forged tokens must not become load for the issuer."""
_TIMEOUT = 5.0
_AGAIN = 1.0
"""Seconds between fetches as long as there was none that succeeded."""
_MOST_BYTES = 1024 * 1024
logger = logging.getLogger(__name__)


class KeySet:
    """The keys by their id, fetched again every ``refresh`` seconds, and when an unknown one is asked for.

    ``generation`` grows when keys come or go.
    """

    def __init__(self, url: str, refresh: float) -> None:
        self._url = url
        self._refresh = refresh
        self.generation = 0
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._wanted = asyncio.Event()
        self._fetched_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def key(self, name: str | None) -> jwt.PyJWK | None:
        """The key of this id; one without an id if it is the only one."""
        keys = self._keys
        return next(iter(keys.values())) if name is None and len(keys) == 1 else keys.get(name)

    def miss(self) -> bool:
        """A key is not known. Whether it soon may be, because the keys are being fetched."""
        if monotonic() - self._fetched_at >= PATIENCE:
            self._wanted.set()
        return self._wanted.is_set() or not self._keys

    async def _keep(self) -> None:
        while True:
            try:
                keys = await asyncio.to_thread(self._fetch) or self._keys
                self.generation += keys.keys() != self._keys.keys()
                self._keys = keys
            except (httpx.HTTPError, jwt.PyJWTError, ValueError) as error:
                logger.warning(
                    "The keys at %s cannot be fetched: %s", self._url, error or type(error).__name__
                )
            self._fetched_at = monotonic()
            self._wanted.clear()
            pause = self._refresh if self._keys else min(self._refresh, _AGAIN)
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                self._wanted.set()

    def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        with httpx.Client(timeout=_TIMEOUT) as client:
            answer = client.get(self._url).raise_for_status()
        if len(answer.content) > _MOST_BYTES:
            raise ValueError("the answer is too long")
        return {key.key_id: key for key in jwt.PyJWKSet.from_json(answer.text).keys}
