"""Visitors of a website with comments: each with a browser, its cookies, and an honest memory."""

import random
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import httpx

from tests.real.isso.ledger import Comment, Ledger

_ARCHIVE = [f"/archive/{number}/" for number in range(8)]
_PACE = 0.03  # seconds between one visitor's requests
_SPICE = ["", " *emphasis*", " „Anführung“ 🎣", "\n\nsecond paragraph", ' it\'s 100 % "quoted"', " x" * 900]


class Visitor:
    """One browser. Every method is one request (`edit` two), judged at once and noted in the ledger."""

    def __init__(self, number: int, url: str) -> None:
        self.ledger = Ledger()
        self._name = f"visitor {number}"
        self._thread = f"/diary/{number}/"
        self._random = random.Random(number)
        self._written = 0
        self._addresses = iter(f"10.{number}.{third}.0" for third in range(1, 255))
        self._browser = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def move_to(self, url: str) -> None:
        """Find the same website elsewhere; cookies belong to the host and stay."""
        self._browser.base_url = httpx.URL(url)

    def close(self) -> None:
        self._browser.close()

    def act(self) -> None:
        """Do one thing that a visitor does."""
        actions = {
            self.post: 20,
            self.edit: 18,
            self.delete: 8,
            self.like: 6,
            self.read_archive: 28,
            self.read_own: 8,
            self.count: 5,
            self.preview: 3,
            self.trespass: 4,
        }
        (action,) = self._random.choices(list(actions), list(actions.values()))
        action()

    def post(self) -> None:
        """A comment on one's own thread, at times a reply to one of one's own."""
        heads = [comment.id for comment in self._own() if comment.parent is None]
        parent = self._random.choice([None, *heads[-3:]])
        self.write(self._thread, parent)

    def write(self, thread: str, parent: int | None = None) -> None:
        self._written += 1
        text = f"{self._name}, comment {self._written}{self._random.choice(_SPICE)}"
        content = {"text": text, "author": self._name, "title": thread, "parent": parent}
        answer = self._request("POST", "/new", 201, params={"uri": thread}, json=content)
        if answer is not None:
            comment = Comment(answer.json()["id"], thread, self._name, text, answer.json()["parent"])
            if comment.parent != parent or comment.id in self.ledger.comments:
                self._fail(f"POST /new answered for another comment: {comment}, parent {parent}")
            self.ledger.comments[comment.id] = comment

    def edit(self) -> None:
        """As isso's own script does: fetch the source, then send the changed one with its cookie."""
        comment = self._any_own()
        if comment is not None:
            self._view(comment)
            self._change(comment)

    def edit_archive(self) -> None:
        """Every comment that one wrote on the archive, with the cookie that one got for it then."""
        for comment in [self.ledger.comments[number] for number in self._archived()]:
            self._change(comment)

    def _change(self, comment: Comment) -> None:
        self._written += 1
        text = f"{self._name}, edit {self._written}{self._random.choice(_SPICE)}"
        content = {"text": text, "author": comment.author}
        if self._request("PUT", f"/id/{comment.id}", 200, json=content) is not None:
            self.ledger.comments[comment.id] = Comment(
                comment.id, comment.thread, comment.author, text, comment.parent
            )

    def delete(self) -> None:
        comment = self._any_own()
        if comment is not None and self._request("DELETE", f"/id/{comment.id}", 200) is not None:
            self.ledger.deleted.append(self.ledger.comments.pop(comment.id))

    def like(self) -> None:
        """As a new address each time, so that each like counts; and only what nobody ever deletes."""
        address = next(self._addresses, None)
        liked = self._random.choice(self._archived()) if self._archived() else None
        if address is None or liked is None:
            return
        answer = self._like(liked, address)
        if answer is not None:
            self.ledger.likes.append((liked, address))
            if "message" in answer:
                self._fail(
                    f"the first like of {address} for comment {liked} was refused: {answer['message']}"
                )

    def like_again(self) -> None:
        """What was liked as an address cannot be liked as that address once more."""
        for liked, address in self.ledger.likes:
            answer = self._like(liked, address)
            if answer is not None and "already been registered" not in answer.get("message", ""):
                self._fail(f"a second like of {address} for comment {liked} was counted: {answer}")

    def read_archive(self) -> None:
        thread = self._random.choice(_ARCHIVE)
        options = {"uri": thread, "sort": self._random.choice(["oldest", "newest"]), "limit": 20}
        self._request("GET", "/", 200, params=options)

    def read_own(self) -> None:
        """One's own thread, in which one expects what one wrote."""
        answer = self._request("GET", "/", 200, params={"uri": self._thread, "plain": 1})
        if answer is None:
            return
        heads = answer.json()["replies"]
        shown = [one for head in heads for one in (head, *head["replies"]) if one["mode"] == 1]
        own = {comment.id: comment.text for comment in self._own()}
        self.ledger.stale += {one["id"]: one["text"] for one in shown} != own

    def count(self) -> None:
        answer = self._request("POST", "/count", 200, json=[self._thread, "/nowhere/"])
        if answer is not None:
            self.ledger.stale += answer.json() != [len(self._own()), 0]

    def preview(self) -> None:
        answer = self._request("POST", "/preview", 200, json={"text": "*this*"})
        if answer is not None and answer.json() != {"text": "<p><em>this</em></p>"}:
            self._fail(f"POST /preview answered {answer.text}")

    def trespass(self) -> None:
        """Without its cookie a comment cannot be edited: 403, on whichever side."""
        comment = self._any_own()
        if comment is not None:
            stranger = {"cookie": ""}
            content = {"text": "not mine"}
            self._request("PUT", f"/id/{comment.id}", 403, json=content, headers=stranger)

    def fill_archive(self) -> None:
        """Two comments on each thread of the archive, which everybody reads and nobody changes."""
        for thread in _ARCHIVE * 2:
            self.write(thread)

    def _view(self, comment: Comment) -> None:
        """The source of one's own comment; where replication has not brought it yet, it may be missing."""
        answer = self._request("GET", f"/id/{comment.id}", 200, 404, params={"plain": 1})
        if answer is not None:
            self.ledger.stale += answer.status_code == 404 or answer.json()["text"] != comment.text

    def _like(self, liked: int, address: str) -> dict[str, str] | None:
        headers = {"x-forwarded-for": address}
        answer = self._request("POST", f"/id/{liked}/like", 200, headers=headers)
        return None if answer is None else dict(answer.json())

    def _any_own(self) -> Comment | None:
        own = self._own()
        return self._random.choice(own) if own else None

    def _own(self) -> list[Comment]:
        return [comment for comment in self.ledger.comments.values() if comment.thread == self._thread]

    def _archived(self) -> list[int]:
        return [comment.id for comment in self.ledger.comments.values() if comment.thread in _ARCHIVE]

    def _request(self, method: str, path: str, *expected: int, **content: object) -> httpx.Response | None:
        """The answer, if it has an expected status; everything else is a failure."""
        name = f"{method} {path}"
        try:
            answer = self._browser.request(method, path, **content)  # type: ignore[arg-type]  # passed on as given
        except httpx.HTTPError as error:
            self._fail(f"{name} failed: {error!r}")
            return None
        if answer.status_code not in expected:
            self._fail(f"{name} answered {answer.status_code}: {answer.text[:200]}")
            return None
        self.ledger.acknowledged[method] += 1
        return answer

    def _fail(self, problem: str) -> None:
        self.ledger.failures.append(f"{self._name}: {problem}")


class Traffic:
    """Visitors who never rest, from the start of the block to its end."""

    def __init__(self, visitors: Sequence[Visitor]) -> None:
        self._visitors = visitors
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._keep_visiting, args=[visitor]) for visitor in visitors]

    def go_on(self, requests: int, timeout: float = 60) -> None:
        """Return after so many more answered requests. Raises TimeoutError."""
        enough = self._answered() + requests
        deadline = time.monotonic() + timeout
        while self._answered() < enough:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the visitors got no {requests} answers within {timeout:g} s")
            self._over.wait(_PACE)

    def _answered(self) -> int:
        return sum(visitor.ledger.acknowledged.total() for visitor in self._visitors)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _keep_visiting(self, visitor: Visitor) -> None:
        while not self._over.wait(_PACE):
            visitor.act()
