"""The monolith in this process, on each database it runs on."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from monolith.app import create_app
from monolith.auth.tokens import Tokens
from monolith.database import Database, upgrade

SECRET = "a-secret-of-at-least-thirty-two-characters"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/monolith.db"
    make: Callable[[], str] = request.getfixturevalue("postgresql_database")
    return make()


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    upgrade(database_url)
    database = Database(database_url)
    transport = httpx.ASGITransport(create_app(database, Tokens(SECRET)))
    async with httpx.AsyncClient(transport=transport, base_url="http://monolith") as client:
        yield client
    database.dispose()


SignUp = Callable[[str], Awaitable[dict[str, str]]]


@pytest.fixture
def sign_up(client: httpx.AsyncClient) -> SignUp:
    """Registers a user by name, logs them in, and gives the headers that say so."""

    async def register_and_log_in(name: str) -> dict[str, str]:
        credentials = {"email": f"{name}@example.com", "password": "long enough"}
        assert (await client.post("/auth/register", json={"name": name, **credentials})).status_code == 201
        pair = (await client.post("/auth/login", json=credentials)).json()
        return {"Authorization": f"Bearer {pair['access_token']}"}

    return register_and_log_in
