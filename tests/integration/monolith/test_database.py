import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

SignUp = Callable[[str], Awaitable[dict[str, str]]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_writers_wait_for_another_process_and_readers_do_not(
    client: httpx.AsyncClient, sign_up: SignUp, tmp_path: Path
) -> None:
    headers = await sign_up("ada")
    body = {"name": "n", "query": "q"}
    where = (await client.post("/search/saved", json=body, headers=headers)).headers["location"]
    other = sqlite3.connect(tmp_path / "monolith.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE saved_searches SET note = 'from elsewhere'")
        replacing = asyncio.create_task(client.put(where, json=body | {"name": "m"}, headers=headers))
        assert (await client.get(where, headers=headers)).json()["note"] is None
        assert not replacing.done()
        other.execute("COMMIT")
        assert (await replacing).json()["name"] == "m"
    finally:
        other.close()
