import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

SignUp = Callable[[str], Awaitable[dict[str, str]]]

CHAIR = {
    "kind": "furniture",
    "title": "Windsor chair",
    "body": "Of ash; für die Küche.",
    "price": "149.90",
    "metadata": {"seats": 1, "maße": [0.5, None, True], "big": 2**60},
    "tags": ["Oak", "KITCHEN", "oak"],
    "client_ref": "c-1",
}


async def test_what_was_created_is_read_back_the_same(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    created = await client.post("/resources", json=CHAIR, headers=headers)
    assert created.status_code == 201
    read = await client.get(created.headers["location"], headers=headers)
    assert read.content == created.content
    assert read.headers["etag"] == created.headers["etag"]
    assert read.json() == CHAIR | {
        "id": read.json()["id"],
        "owner_id": read.json()["owner_id"],
        "tags": ["kitchen", "oak"],
        "version": 1,
        "created_at": read.json()["created_at"],
        "updated_at": read.json()["created_at"],
    }


async def test_conditional_requests(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    created = await client.post("/resources", json=CHAIR, headers=headers)
    where, tag = created.headers["location"], created.headers["etag"]
    unchanged = await client.get(where, headers=headers | {"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    replaced = await client.put(where, json=CHAIR | {"tags": []}, headers=headers | {"If-Match": tag})
    assert replaced.status_code == 200
    assert replaced.json()["tags"] == []
    assert replaced.headers["etag"] != tag
    for method in ("PUT", "DELETE"):
        late = await client.request(method, where, json=CHAIR, headers=headers | {"If-Match": tag})
        assert late.status_code == 412


async def test_a_deleted_resource_is_gone_everywhere(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    where = (await client.post("/resources", json=CHAIR, headers=headers)).headers["location"]
    assert (await client.get("/search?q=windsor", headers=headers)).json()["items"]
    assert (await client.delete(where, headers=headers)).status_code == 204
    assert (await client.get(where, headers=headers)).status_code == 404
    assert (await client.delete(where, headers=headers)).status_code == 404
    assert (await client.get("/resources", headers=headers)).json()["total"] == 0
    assert (await client.get("/search?q=windsor", headers=headers)).json()["items"] == []


async def test_only_the_owner_changes_a_resource(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    where = (await client.post("/resources", json=CHAIR, headers=await sign_up("ada"))).headers["location"]
    other = await sign_up("bob")
    assert (await client.get(where, headers=other)).status_code == 200
    assert (await client.put(where, json=CHAIR, headers=other)).status_code == 403
    assert (await client.delete(where, headers=other)).status_code == 403


async def test_filters_and_pages(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    for n in range(5):
        made = CHAIR | {"price": f"{n}.10", "client_ref": f"c-{n}", "tags": ["even"] if n % 2 == 0 else []}
        await client.post("/resources", json=made, headers=headers)

    async def refs(query: str) -> tuple[list[str], int]:
        page = (await client.get(f"/resources?{query}", headers=headers)).json()
        return [item["client_ref"] for item in page["items"]], page["total"]

    assert await refs("limit=2&offset=1") == (["c-1", "c-2"], 5)
    assert await refs("tag=EVEN") == (["c-0", "c-2", "c-4"], 3)
    assert await refs("min_price=1.10&max_price=3.09") == (["c-1", "c-2"], 2)
    assert await refs("client_ref=c-3&kind=furniture") == (["c-3"], 1)
    assert await refs("kind=tool") == ([], 0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": "  "}, "title"),
        ({"kind": "No Kind"}, "kind"),
        ({"price": "-1"}, "price"),
        ({"body": "a\0b"}, "body"),
        ({"tags": [""]}, "tags"),
        ({"metadata": []}, "metadata"),
    ],
)
async def test_invalid_input_is_named(
    client: httpx.AsyncClient, sign_up: SignUp, change: dict[str, object], field: str
) -> None:
    refused = await client.post("/resources", json=CHAIR | change, headers=await sign_up("ada"))
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"][:2] == ["body", field]


async def test_json_that_json_cannot_hold_is_refused_not_a_failure(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("ada") | {"Content-Type": "application/json"}
    for metadata in ('{"a": NaN}', '{"a": "\\ud800"}', '{"\\ud800": 1}'):
        body = f'{{"kind": "tool", "title": "t", "metadata": {metadata}}}'
        assert (await client.post("/resources", content=body, headers=headers)).status_code == 422


async def test_the_same_new_tag_from_many_requests_is_one_tag(
    client: httpx.AsyncClient, sign_up: SignUp
) -> None:
    headers = await sign_up("ada")
    answers = await asyncio.gather(
        *(
            client.post("/resources", json=CHAIR | {"tags": ["new", "newer"]}, headers=headers)
            for _ in range(8)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    assert (await client.get("/resources?tag=new", headers=headers)).json()["total"] == 8


async def test_files_belong_to_a_resource(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    headers = await sign_up("ada")
    where = (await client.post("/resources", json=CHAIR, headers=headers)).headers["location"]
    file = {"name": "plan.pdf", "media_type": "application/pdf", "size_bytes": 2**40, "location": "s3://a/b"}
    added = await client.post(f"{where}/files", json=file, headers=headers)
    assert added.status_code == 201
    listed = (await client.get(f"{where}/files", headers=headers)).json()
    assert listed["items"] == [added.json()]
    gone = f"{where}/files/{added.json()['id']}"
    assert (await client.delete(gone, headers=headers)).status_code == 204
    assert (await client.delete(gone, headers=headers)).status_code == 404
