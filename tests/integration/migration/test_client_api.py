"""An Unleash SDK, unchanged, follows the migration's flags at the admin port."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from UnleashClient import UnleashClient  # type: ignore[attr-defined]  # re-exported without saying so

from flags.percent import Precision
from flags.store import EmbeddedStore
from migration.control import Control
from tests.integration.migration.serving import SECONDS, Facade

FLAG = "search.reads"
KEYS = [f"user-{number}" for number in range(200)]


@pytest.fixture
def facade(tmp_path: Path) -> Iterator[Facade]:
    facade = Facade(tmp_path, "http://127.0.0.1:1")
    facade.process.wait_for_http(f"{facade.admin.base_url}/-/readyz", SECONDS)
    yield facade
    facade.close()


@pytest.fixture
def store(facade: Facade) -> Iterator[EmbeddedStore]:
    control = Control.open(f"sqlite:///{facade.directory / '.strangler' / 'control.db'}")
    yield EmbeddedStore(control.engine, Precision.PERCENT)
    control.close()


def test_an_sdk_lets_in_whom_the_facade_lets_in(facade: Facade, store: EmbeddedStore, tmp_path: Path) -> None:
    store.set_share(FLAG, 3000, "test")
    client = UnleashClient(
        url=f"{facade.admin.base_url}/api",
        app_name="monolith",
        refresh_interval=1,
        cache_directory=str(tmp_path / "cache"),
        custom_headers={"Authorization": facade.token},
    )
    try:
        client.initialize_client()
        assert _let_in(client) == _by_the_facade(store)
        assert 0 < len(_let_in(client)) < len(KEYS)
        store.set_share(FLAG, 6000, "test")
        deadline = time.monotonic() + SECONDS
        while _let_in(client) != _by_the_facade(store):
            assert time.monotonic() < deadline, "the SDK never saw the new share"
            time.sleep(0.05)
    finally:
        client.destroy()


def test_what_has_not_changed_is_not_sent_again(facade: Facade, store: EmbeddedStore) -> None:
    store.set_share(FLAG, 3000, "test")
    headers = {"Authorization": facade.token}
    first = facade.admin.get("/api/client/features", headers=headers)
    assert [feature["name"] for feature in first.json()["features"]] == [FLAG]
    again = {**headers, "If-None-Match": first.headers["ETag"]}
    assert facade.admin.get("/api/client/features", headers=again).status_code == 304
    store.set_share(FLAG, 4000, "test")
    changed = facade.admin.get("/api/client/features", headers=again)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


def test_strangers_are_refused_and_an_outage_is_told(facade: Facade) -> None:
    assert facade.admin.get("/api/client/features", headers={"Authorization": "x"}).status_code == 401
    headers = {"Authorization": f"Bearer {facade.token}"}
    assert facade.admin.post("/api/client/metrics", headers=headers, json={}).status_code == 202
    for file in (facade.directory / ".strangler").glob("control.db*"):
        file.unlink()
    assert facade.admin.get("/api/client/features", headers=headers).status_code == 503


def _let_in(client: UnleashClient) -> set[str]:
    return {key for key in KEYS if client.is_enabled(FLAG, {"userId": key})}


def _by_the_facade(store: EmbeddedStore) -> set[str]:
    snapshot = store.snapshot()
    return {key for key in KEYS if snapshot.enabled(FLAG, key)}
