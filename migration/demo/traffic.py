"""The demo's clients, as a locustfile: people who search, keep searches, edit resources – and hang up.

Every request and every write is a line of JSON in the file that ``STRANGLER_DEMO_HISTORY`` names, so that
each acknowledged write can be looked up afterwards. The n-th client logs in as ``user<n>@example.com`` with
``STRANGLER_DEMO_PASSWORD``.
"""

import json
import os
import random
import time
import uuid
from collections import deque
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from locust import FastHttpUser, between, events, task

_history = open(os.environ.get("STRANGLER_DEMO_HISTORY", os.devnull), "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open as long as the process
_password = os.environ.get("STRANGLER_DEMO_PASSWORD", "")
_next_user = count(1)
_next_write = count(1)

_WORDS = ("report", "invoice", "alpha", "north", "legacy", "plan", "error", "summary", "new", "quarter")

# A service at ramp may answer a read before replication has brought a write of a moment ago.
_SETTLED_SECONDS = 3.0


def _line(**values: Any) -> None:
    _history.write(json.dumps(values) + "\n")


def _sent(table: str, ref: str, operation: str, label: str | None) -> int:
    """Remember a write before it is sent: whoever stops the clients may do so before it is answered."""
    number = next(_next_write)
    _line(event="write", number=number, at=time.time(), table=table, ref=ref, op=operation, name=label)
    return number


def _on_request(
    request_type: str, name: str, response_time: float, exception: BaseException | None, **_: Any
) -> None:
    ended = time.time()
    _line(
        event="request",
        at=ended - response_time / 1000,
        ms=response_time,
        name=f"{request_type} {name}",
        error=str(exception)[:300] if exception is not None else None,
    )


def _on_quitting(**_: Any) -> None:
    _history.flush()


events.request.add_listener(_on_request)  # type: ignore[no-untyped-call]  # locust annotates it only in part
events.quitting.add_listener(_on_quitting)  # type: ignore[no-untyped-call]  # as above


class Client(FastHttpUser):
    """One person with a token. Remembers what they keep, so as to change and delete it later."""

    wait_time = between(0.25, 0.75)
    network_timeout = 30.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        email = f"user{next(_next_user)}@example.com"
        login = {"email": email, "password": _password}
        answer = self.client.post("/auth/login", json=login, name="/auth/login")
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        self.address = urlsplit(str(self.client.base_url)).netloc
        self.random = random.Random(email)  # noqa: S311 - a mix of requests, not a secret
        self.saved: deque[tuple[float, int, str]] = deque()
        self.resources: deque[tuple[float, int, str]] = deque()

    @task(10)
    def search(self) -> None:
        word = self.random.choice(_WORDS)
        self._get(f"/search?q={word}&limit=10", "/search")

    @task(4)
    def list_saved(self) -> None:
        self._get("/search/saved?limit=20", "/search/saved")

    @task(3)
    def read_saved(self) -> None:
        if (known := self._settled(self.saved)) is not None:
            self._get(f"/search/saved/{known}", "/search/saved/{id}")

    @task(3)
    def list_resources(self) -> None:
        self._get("/resources?limit=10", "/resources")

    @task(3)
    def read_resource(self) -> None:
        if (known := self._settled(self.resources)) is not None:
            self._get(f"/resources/{known}", "/resources/{id}")

    @task(3)
    def keep_search(self) -> None:
        ref = str(uuid.uuid4())
        made = self._write("POST", "/search/saved", "/search/saved", "saved_searches", ref, self._search(ref))
        if made is not None:
            self.saved.append((time.time(), made["id"], ref))

    @task(2)
    def change_search(self) -> None:
        if self.saved:
            _, known, ref = self.random.choice(self.saved)
            self._write(
                "PUT",
                f"/search/saved/{known}",
                "/search/saved/{id}",
                "saved_searches",
                ref,
                self._search(ref),
            )

    @task(1)
    def forget_search(self) -> None:
        if len(self.saved) > 2:
            _, known, ref = self.saved.popleft()
            self._write("DELETE", f"/search/saved/{known}", "/search/saved/{id}", "saved_searches", ref, None)

    @task(2)
    def add_resource(self) -> None:
        ref = str(uuid.uuid4())
        made = self._write("POST", "/resources", "/resources", "resources", ref, self._resource(ref))
        if made is not None:
            self.resources.append((time.time(), made["id"], ref))

    @task(1)
    def change_resource(self) -> None:
        if self.resources:
            _, known, ref = self.random.choice(self.resources)
            self._write(
                "PUT", f"/resources/{known}", "/resources/{id}", "resources", ref, self._resource(ref)
            )

    @task(1)
    def hang_up(self) -> None:
        """Send a write, whole or in part, and leave without waiting for the answer."""
        ref = str(uuid.uuid4())
        body = json.dumps(self._search(ref)).encode()
        head = (
            f"POST /search/saved HTTP/1.1\r\nHost: {self.address}\r\n"
            f"Authorization: {self.headers['Authorization']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        _sent("saved_searches", ref, "POST", None)
        host, _, port = self.address.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(head + body[: self.random.choice((0, len(body) // 2, len(body)))])
            gevent.sleep(self.random.choice((0, 0, 0.01)))

    def _get(self, path: str, name: str) -> None:
        self.client.get(path, name=name, headers=self.headers)

    def _write(
        self, method: str, path: str, name: str, table: str, ref: str, body: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Send a write and remember whether it was acknowledged; what was made, if so."""
        label = None if body is None else body.get("name", body.get("title"))
        number = _sent(table, ref, method, label)
        with self.client.request(
            method, path, name=name, json=body, headers=self.headers, catch_response=True
        ) as answer:
            acknowledged = answer.status_code in {200, 201, 204}
            if acknowledged:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} {(answer.text or '')[:200]}")
        if acknowledged:
            _line(event="acknowledged", number=number)
        return answer.json() if acknowledged and answer.content else None

    def _settled(self, items: deque[tuple[float, int, str]]) -> int | None:
        old = [known for at, known, _ in items if time.time() - at > _SETTLED_SECONDS]
        return self.random.choice(old) if old else None

    def _search(self, ref: str) -> dict[str, Any]:
        return {
            "name": f"search {uuid.uuid4().hex[:12]}",
            "query": self.random.choice(_WORDS),
            "filters": {
                "kind": self.random.choice(("document", "image", None)),
                "depth": [1, 2, {"é": True}],
            },
            "threshold": self.random.choice((None, "12.50", "0.10")),
            "notify": self.random.random() < 0.5,
            "note": self.random.choice((None, "", "naïve – ☂")),
            "client_ref": ref,
        }

    def _resource(self, ref: str) -> dict[str, Any]:
        word = self.random.choice(_WORDS)
        return {
            "kind": "document",
            "title": f"{word} {uuid.uuid4().hex[:12]}",
            "body": self.random.choice((None, f"about {word} and more")),
            "price": self.random.choice((None, "19.90")),
            "metadata": {"pages": self.random.randrange(500)},
            "tags": self.random.sample(("urgent", "draft", "public"), 2),
            "client_ref": ref,
        }
