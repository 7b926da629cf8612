"""People who write through the facade for as long as they are let, and remember what they were told."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx

from migration.demo.environment import PASSWORD, Databases
from migration.demo.lookup import saved_searches

WORDS = ("report", "invoice", "alpha", "north", "legacy", "plan", "error", "summary")
_PACE_SECONDS = 0.05


@dataclass(slots=True)
class Ledger:
    """What one person was told. ``kept`` are acknowledged searches: their reference, and their last name.

    ``refused`` were answered with 503 and a time to try again; anything else that went wrong is in
    ``failures``, and ``unclear`` has the names that it may have given a search since.
    """

    kept: dict[str, str] = field(default_factory=dict)
    unclear: dict[str, set[str]] = field(default_factory=dict)
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Person:
    """One client with a token."""

    def __init__(self, number: int, url: str) -> None:
        self.ledger = Ledger()
        self.busy = threading.Lock()
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        login = {"email": f"user{number}@example.com", "password": PASSWORD}
        answer = self._client.post("/auth/login", json=login).raise_for_status()
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self._ids: dict[str, int] = {}

    def write(self) -> None:
        """Keep a search; every third time, rename one that is kept."""
        with self.busy:
            if self._ids and len(self._ids) % 3 == 0:
                ref = next(iter(self._ids))
                self._send("PUT", f"/search/saved/{self._ids.pop(ref)}", ref)
            else:
                self._send("POST", "/search/saved", str(uuid.uuid4()))

    def read(self, times: int) -> None:
        """Search for what the monolith's generator writes about."""
        for number in range(times):
            answer = self._client.get("/search", params={"q": WORDS[number % len(WORDS)], "limit": 5})
            if answer.status_code != 200:
                self.ledger.failures.append(f"GET /search: {answer.status_code} {answer.text[:200]}")

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, ref: str) -> None:
        name = f"search {uuid.uuid4().hex[:12]}"
        body = {
            "name": name,
            "query": "report",
            "filters": {"é": [1, None]},
            "threshold": "12.50",
            "client_ref": ref,
        }
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            self._failed(f"{method} {path}: {type(error).__name__}: {error}", ref, name)
            return
        if answer.status_code == 503 and "retry-after" in answer.headers:
            self.ledger.refused.append(ref if method == "POST" else name)
        elif answer.is_success:
            self.ledger.kept[ref] = name
            self.ledger.unclear.pop(ref, None)
            self.ledger.acknowledged += 1
            self._ids.setdefault(ref, answer.json()["id"])
        else:
            self._failed(f"{method} {path}: {answer.status_code} {answer.text[:200]}", ref, name)

    def _failed(self, what: str, ref: str, name: str) -> None:
        self.ledger.failures.append(what)
        self.ledger.unclear.setdefault(ref, set()).add(name)


class Crowd:
    """Some people, each in a thread of their own; a ``with`` block lets them write."""

    def __init__(self, url: str, size: int = 2) -> None:
        self.people = [Person(number, url) for number in range(1, size + 1)]
        self._reader = Person(size + 1, url)
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(person,)) for person in self.people]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join()
        for person in (*self.people, self._reader):
            person.close()

    def read(self, times: int) -> None:
        """Have so many searches answered."""
        self._reader.read(times)

    def go_on(self, writes: int, seconds: float = 60) -> None:
        """Return when so many more writes were acknowledged."""
        goal = self.acknowledged + writes
        deadline = time.monotonic() + seconds
        while self.acknowledged < goal:
            assert time.monotonic() < deadline, f"{self.acknowledged} of {goal} writes were acknowledged"
            self._leaving.wait(0.01)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody writes: what was begun has been answered."""
        with ExitStack() as stack:
            for person in self.people:
                stack.enter_context(person.busy)
            yield

    @property
    def acknowledged(self) -> int:
        return sum(person.ledger.acknowledged for person in self.people)

    @property
    def refused(self) -> list[str]:
        return [each for person in self.people for each in person.ledger.refused]

    @property
    def failures(self) -> list[str]:
        return [each for person in (*self.people, self._reader) for each in person.ledger.failures]

    def differences(self, databases: Databases, owner: str) -> list[str]:
        """In what the owner's rows are not what people were told; ask while nobody writes."""
        rows = saved_searches(databases, owner)
        found = [
            f"{ref} is kept as {name}, and found as {list(rows.get(ref, ()))}"
            for person in self.people
            for ref, name in person.ledger.kept.items()
            if len(rows.get(ref, ())) != 1 or rows[ref][0] not in {name, *person.ledger.unclear.get(ref, ())}
        ]
        found += [f"{ref} is there {len(of_ref)} times" for ref, of_ref in rows.items() if len(of_ref) > 1]
        names = {name for of_ref in rows.values() for name in of_ref}
        return found + [
            f"{each} was refused, and is there" for each in self.refused if each in {*rows, *names}
        ]

    def _write(self, person: Person) -> None:
        while not self._leaving.wait(_PACE_SECONDS):
            person.write()
