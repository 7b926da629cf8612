"""A real Unleash server: its client API to read the flags, its admin API to change them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import httpx
import orjson
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from flags.document import SHARES, Feature, Strategy, is_share
from flags.errors import UnleashError
from flags.unleash_account import Account

SECONDS = 2.0
"""What one question may take, all in all: a server that dribbles is as good as gone."""
LARGEST = 32 * 2**20
_MOMENTARY = frozenset({429, 500, 502, 503, 504})


class _MomentaryError(UnleashError):
    """It may go well the next time."""


class UnleashServer:
    """For one thread. Every method raises UnleashError, whose text holds no token, within a bounded time."""

    def __init__(self, account: Account, *, seconds: float = SECONDS) -> None:
        self._account = account
        self._seconds = seconds
        self._loop = asyncio.Runner()
        self._client = httpx.AsyncClient(
            base_url=account.url.rstrip("/"),
            headers={"unleash-appname": "strangler", "unleash-sdk": "strangler-fig"},
            timeout=seconds,
            follow_redirects=False,
        )
        self._etag = ""

    def read(self) -> Mapping[str, Any] | None:
        """The document of the client API, not yet looked at; None when it is the one that was read last."""
        return self._loop.run(self._read())

    def look(self) -> None:
        """See whether the project is there for the token that changes flags."""
        self._loop.run(self._admin("GET", f"/api/admin/projects/{self._account.project}/overview"))

    def tell(self, feature: Feature) -> None:
        """Let the flag's share, and whether it is on, be what ``feature`` says; create a missing one.

        Lists and constraints of a flag that is there stay as they are.
        """
        self._loop.run(self._tell(feature))

    def forget(self) -> None:
        """Read the whole document again, changed or not."""
        self._etag = ""

    def close(self) -> None:
        self._loop.run(self._client.aclose())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _read(self) -> Mapping[str, Any] | None:
        headers = {"Authorization": self._account.token, "If-None-Match": self._etag}
        status, body, etag = await self._asked(
            "GET", "/api/client/features", headers, {"project": self._account.project}
        )
        if status == 304:
            return None
        if status != 200:
            raise self._refused(status, body, "token", "reads flags")
        document = self._decoded(body)
        said = document.get("query")
        environment = said.get("environment") if isinstance(said, dict) else None
        if environment not in {None, self._account.environment}:
            raise UnleashError(
                f"the token for Unleash is of the environment {environment!r}, and the plan says "
                f"{self._account.environment!r}. Give a client token of that environment."
            )
        self._etag = etag
        return document

    async def _tell(self, feature: Feature) -> None:
        features = f"/api/admin/projects/{self._account.project}/features"
        place = f"{features}/{feature.name}"
        known = await self._admin("GET", place, missing=True)
        if known is None:
            await self._admin("POST", features, {"name": feature.name, "type": "release"})
            known = await self._admin("GET", place)
        here = next(
            (
                each
                for each in (known or {}).get("environments", ())
                if each.get("name") == self._account.environment
            ),
            None,
        )
        if here is None:
            raise UnleashError(
                f"project {self._account.project!r} has no environment {self._account.environment!r} in "
                "Unleash. Enable it there, or correct [flags.unleash] in the plan."
            )
        environment = f"{place}/environments/{self._account.environment}"
        if not feature.enabled:
            if here.get("enabled"):
                await self._admin("POST", f"{environment}/off")
            return
        await self._share(environment, here.get("strategies", ()), feature.strategies)
        if not here.get("enabled"):
            await self._admin("POST", f"{environment}/on")

    async def _share(
        self, environment: str, there: Sequence[Mapping[str, Any]], wanted: Sequence[Strategy]
    ) -> None:
        """Move the share by one change of one strategy; others that let a share in go afterwards."""
        place = f"{environment}/strategies"
        shares = [each for each in there if _is_share(each)]
        mine = next((each for each in shares if each["name"] == "flexibleRollout"), None)
        for strategy in wanted:
            said = strategy.model_dump(mode="json", exclude_none=True, exclude={"disabled", "segments"})
            if not is_share(strategy):
                if not there:
                    await self._admin("POST", place, said)
            elif mine is None:
                await self._admin("POST", place, said)
            elif mine["parameters"].get("rollout") != strategy.parameters["rollout"]:
                rollout = {"rollout": strategy.parameters["rollout"]}
                kept = {key: mine[key] for key in _KEPT if mine.get(key) is not None}
                changed = kept | {"parameters": mine["parameters"] | rollout}
                await self._admin("PUT", f"{place}/{mine['id']}", changed)
        for other in shares:
            if other is not mine:
                await self._admin("DELETE", f"{place}/{other['id']}")

    async def _admin(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, missing: bool = False
    ) -> Mapping[str, Any] | None:
        """One call of the admin API, repeated when it failed for the moment. None: it is ``missing``."""
        headers = {"Authorization": self._account.admin_token}
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(_MomentaryError),
            stop=stop_after_attempt(3),
            wait=wait_random_exponential(multiplier=0.1, max=0.5),
            reraise=True,
        ):
            with attempt:
                status, answer, _ = await self._asked(method, path, headers, content=body)
                if status in _MOMENTARY:
                    raise _MomentaryError(f"Unleash at {self._account.url} answers {status}.")
        if status == 404 and missing:
            return None
        if not 200 <= status < 300:
            raise self._refused(status, answer, "admin_token", "changes flags")
        return self._decoded(answer) if answer.startswith(b"{") else {}

    async def _asked(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        content: Mapping[str, Any] | None = None,
    ) -> tuple[int, bytes, str]:
        """Status, body and ETag. Raises _MomentaryError when there is no answer in time."""
        where = f"Unleash at {self._account.url}"
        body = b""
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._client.stream(method, path, params=query, headers=headers, json=content) as answer,
            ):
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > LARGEST:
                        raise UnleashError(f"{where} answers more than {LARGEST >> 20} MiB. Is it one?")
                return answer.status_code, body, answer.headers.get("etag", "")
        except (TimeoutError, httpx.TimeoutException) as error:
            raise _MomentaryError(f"{where} does not answer within {self._seconds:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _MomentaryError(f"{where} cannot be asked: {error or type(error).__name__}.") from error

    def _decoded(self, body: bytes) -> Mapping[str, Any]:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise UnleashError(f"Unleash at {self._account.url} answers what is no JSON: {error}.") from error
        if not isinstance(document, dict):
            raise UnleashError(f"Unleash at {self._account.url} answers JSON that is no object. Is it one?")
        return document

    def _refused(self, status: int, body: bytes, token: str, does: str) -> UnleashError:
        if status in {401, 403}:
            return UnleashError(
                f"Unleash at {self._account.url} refuses the token that {does} ({status}). "
                f"Give a valid one with `{token}_file` under [flags.unleash]."
            )
        said = body[:200].decode("utf-8", "replace").strip()
        return UnleashError(f"Unleash at {self._account.url} answers {status}: {said or 'nothing else'}")


_KEPT = ("name", "title", "constraints", "segments", "variants", "disabled")


def _is_share(strategy: Mapping[str, Any]) -> bool:
    """As `flags.document.is_share`, of a strategy as the admin API tells it."""
    chosen = strategy.get("constraints") or strategy.get("segments")
    return strategy.get("name") in SHARES and not chosen and not strategy.get("disabled")
