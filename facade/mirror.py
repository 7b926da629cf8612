"""The shadow's own requests: a copied answer, and asking a side once more off the user's path."""

import asyncio
from dataclasses import dataclass

from facade.answer import Head
from facade.compare import Answer
from facade.pool import Pool
from facade.upstream import Failure, UpstreamConnection


class NoAnswer(Exception):  # noqa: N818 (an outcome that is counted, not a fault of the facade)
    """A side gave no answer that could be compared. ``reason`` is counted as a drop."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Copy:
    """An answer's copy, or that of a request's body, made while it passes. Beyond ``most`` bytes of body it
    is given up."""

    __slots__ = ("_most", "_pieces", "_size", "head")

    def __init__(self, most: int) -> None:
        self.head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._most = most

    @property
    def too_large(self) -> bool:
        return self._size > self._most

    def add(self, pieces: list[bytes]) -> None:
        self._size += sum(map(len, pieces))
        if self.too_large:
            self._pieces.clear()
        else:
            self._pieces += pieces

    def body(self) -> bytes:
        """The whole body. Raises NoAnswer when there is no copy of it."""
        if self.too_large:
            raise NoAnswer("body_too_large")
        return b"".join(self._pieces)

    def answer(self) -> Answer:
        """The whole answer. Raises NoAnswer when there is no copy of it."""
        body = self.body()
        if self.head is None:
            raise NoAnswer("no_answer")
        return Answer(self.head.status, self.head.pairs(), body)


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that is there, where a copy of one is wanted."""

    value: Answer

    def answer(self) -> Answer:
        return self.value


class Asking:
    """One request of the shadow to one side. Awaitable through ``answer``."""

    sent = True

    def __init__(self, request: bytes, *, head_only: bool, most: int) -> None:
        self.head_only = head_only
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._request = request
        self._copy = Copy(most)
        self._upstream: UpstreamConnection | None = None

    def connected(self, upstream: UpstreamConnection) -> None:
        self._upstream = upstream
        upstream.write(self._request)

    def interim(self, head: Head) -> None:
        """Says nothing that would be compared."""

    def upgraded(self, head: Head, rest: bytes, upstream: UpstreamConnection) -> None:  # noqa: ARG002 (Requester's signature)
        upstream.abort()
        self.failed(Failure.MALFORMED)

    def answered(self, head: Head | None, pieces: list[bytes], *, done: bool) -> None:
        if done:
            self._upstream = None
        if head is not None:
            self._copy.head = head
        self._copy.add(pieces)
        if self.answer.done():
            return
        if done or self._copy.too_large:
            self.give_up()
            try:
                self.answer.set_result(self._copy.answer())
            except NoAnswer as nothing:
                self.answer.set_exception(nothing)

    def failed(self, failure: Failure) -> None:
        self._upstream = None
        if not self.answer.done():
            self.answer.set_exception(NoAnswer(failure))

    def pause_sending(self) -> None:
        """The request is one write, no longer than what may be copied."""

    def resume_sending(self) -> None:
        """See pause_sending."""

    def give_up(self) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()


async def ask(pool: Pool, request: bytes, *, head_only: bool, timeout: float, most: int) -> Answer:  # noqa: ASYNC109 (the deadline has to end in NoAnswer)
    """Send one request and take the whole answer. Raises NoAnswer."""
    asking = Asking(request, head_only=head_only, most=most)
    pool.acquire(asking)
    try:
        async with asyncio.timeout(timeout):
            return await asking.answer
    except TimeoutError:
        raise NoAnswer("timeout") from None
    finally:
        pool.forsake(asking)
        asking.give_up()
