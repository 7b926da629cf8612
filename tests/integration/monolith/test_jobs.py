import asyncio
from collections.abc import Awaitable, Callable

import httpx

SignUp = Callable[[str], Awaitable[dict[str, str]]]


async def test_no_job_is_claimed_twice(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    for n in range(6):
        await client.post("/jobs", json={"kind": "export", "payload": {"n": n}}, headers=headers)
    answers = await asyncio.gather(
        *(client.post("/jobs/claim", json={"worker": f"w{n}"}, headers=headers) for n in range(9))
    )
    claimed = [answer.json()["id"] for answer in answers if answer.status_code == 200]
    assert len(claimed) == len(set(claimed)) == 6
    assert [answer.content for answer in answers if answer.status_code == 204] == [b""] * 3


async def test_a_job_is_finished_once(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    job = (await client.post("/jobs", json={"kind": "export"}, headers=headers)).json()
    finish = f"/jobs/{job['id']}/finish"
    failed = {"state": "failed", "error": "disk full"}
    assert (await client.post(finish, json=failed, headers=headers)).status_code == 409
    await client.post("/jobs/claim", json={"worker": "w"}, headers=headers)
    assert (await client.post(finish, json=failed, headers=headers)).json()["error"] == "disk full"
    assert (await client.post(finish, json=failed, headers=headers)).status_code == 409
    listed = (await client.get("/jobs?state=failed", headers=headers)).json()
    assert [item["id"] for item in listed["items"]] == [job["id"]]


async def test_a_job_waits_for_its_time(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    await client.post("/jobs", json={"kind": "export", "run_after": "2999-01-01T00:00:00Z"}, headers=headers)
    assert (await client.post("/jobs/claim", json={"worker": "w"}, headers=headers)).status_code == 204


async def test_a_job_for_an_unknown_resource_is_refused(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    body = {"kind": "export", "resource_id": 77}
    assert (await client.post("/jobs", json=body, headers=await sign_up("ada"))).status_code == 404
