from collections.abc import Awaitable, Callable
from typing import Any

import httpx

SignUp = Callable[[str], Awaitable[dict[str, str]]]

ADA = {"email": "Ada@Example.com", "password": "long enough", "name": "Ada"}


async def log_in(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/auth/login", json={"email": ADA["email"], "password": ADA["password"]})
    assert answer.status_code == 200
    pair: dict[str, Any] = answer.json()
    return pair


async def test_register_log_in_and_see_oneself(client: httpx.AsyncClient) -> None:
    registered = await client.post("/auth/register", json=ADA)
    assert registered.status_code == 201
    pair = await log_in(client)
    me = await client.get("/auth/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert me.json()["email"] == "ada@example.com"
    assert me.json()["last_login_at"].endswith("Z")
    assert "password" not in me.text


async def test_an_email_is_registered_once(client: httpx.AsyncClient) -> None:
    assert (await client.post("/auth/register", json=ADA)).status_code == 201
    assert (await client.post("/auth/register", json=ADA | {"email": "ADA@example.com"})).status_code == 409


async def test_wrong_credentials_do_not_say_which_part_was_wrong(client: httpx.AsyncClient) -> None:
    await client.post("/auth/register", json=ADA)
    wrong = await client.post("/auth/login", json={"email": ADA["email"], "password": "something else"})
    unknown = await client.post("/auth/login", json={"email": "x@example.com", "password": "something else"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content


async def test_a_validation_error_does_not_repeat_the_password(client: httpx.AsyncClient) -> None:
    refused = await client.post("/auth/register", json=ADA | {"password": "sh0rt!"})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "password"]
    assert "sh0rt!" not in refused.text


async def test_a_refresh_token_works_once(client: httpx.AsyncClient) -> None:
    await client.post("/auth/register", json=ADA)
    token = {"refresh_token": (await log_in(client))["refresh_token"]}
    assert (await client.post("/auth/refresh", json=token)).status_code == 200
    assert (await client.post("/auth/refresh", json=token)).status_code == 401


async def test_logging_out_ends_the_session(client: httpx.AsyncClient) -> None:
    await client.post("/auth/register", json=ADA)
    pair = await log_in(client)
    token = {"refresh_token": pair["refresh_token"]}
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    assert (await client.post("/auth/logout", json=token, headers=headers)).status_code == 204
    assert (await client.post("/auth/refresh", json=token)).status_code == 401
    sessions = (await client.get("/auth/sessions", headers=headers)).json()
    assert sessions["total"] == 1
    assert sessions["items"][0]["revoked_at"] is not None


async def test_without_a_token_every_domain_asks_for_one(client: httpx.AsyncClient) -> None:
    for path in ("/resources", "/search", "/search/saved", "/jobs", "/audit", "/auth/me"):
        answer = await client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_audit_log_names_the_actor(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    found = (await client.get("/audit?entity=user&limit=1", headers=headers)).json()
    assert found["total"] == 2
    assert [entry["action"] for entry in found["items"]] == ["user.logged_in"]
    assert found["items"][0]["actor_id"] == found["items"][0]["entity_id"]
