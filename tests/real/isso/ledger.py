"""What visitors were told, and whether a database holds it: each acknowledged write, once, as of last."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.real.isso.server import Isso

_PUBLISHED, _EMPTIED = 1, 4  # isso's modes; an emptied comment is one that was deleted but has replies


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as its author was last told it is. ``parent`` is the id of the comment it replies to."""

    id: int
    thread: str
    author: str
    text: str
    parent: int | None


@dataclass(slots=True)
class Ledger:
    """One visitor's account: what is theirs, what they deleted, whom they liked as whom, and what failed."""

    comments: dict[int, Comment] = field(default_factory=dict)
    deleted: list[Comment] = field(default_factory=list)
    likes: list[tuple[int, str]] = field(default_factory=list)  # comment id, address
    acknowledged: Counter[str] = field(default_factory=Counter)
    stale: int = 0  # reads answered as of before this visitor's own last write
    failures: list[str] = field(default_factory=list)


def differences(ledgers: Iterable[Ledger], isso: Isso) -> list[str]:
    """Everything in which the database of ``isso`` is not what the visitors were told, in words."""
    ledgers = list(ledgers)
    return [*_comments(ledgers, isso), *_threads(isso), *_likes(ledgers, isso)]


def _comments(ledgers: list[Ledger], isso: Isso) -> list[str]:
    rows = isso.rows(
        "SELECT comments.id, uri, author, text, parent, mode"
        " FROM comments LEFT JOIN threads ON threads.id = tid ORDER BY comments.id"
    )
    expected = {
        (one.id, one.thread, one.author, one.text, one.parent)
        for ledger in ledgers
        for one in ledger.comments.values()
    }
    published = Counter(row[:-1] for row in rows if row[-1] == _PUBLISHED)
    emptied = [row for row in rows if row[-1] == _EMPTIED]
    deleted_ids = {one.id for ledger in ledgers for one in ledger.deleted}
    return [
        *(f"lost: {comment}" for comment in sorted(expected - published.keys())),
        *(f"never acknowledged: {comment}" for comment in sorted(published.keys() - expected)),
        *(f"doubled: {comment}" for comment, times in published.items() if times > 1),
        *(f"emptied, but not by its author: {row}" for row in emptied if row[0] not in deleted_ids or row[3]),
        *(f"of an unknown mode: {row}" for row in rows if row[-1] not in {_PUBLISHED, _EMPTIED}),
    ]


def _threads(isso: Isso) -> list[str]:
    """isso's own trigger removes a thread with its last comment, and no other."""
    stale = isso.rows("SELECT uri FROM threads WHERE id NOT IN (SELECT tid FROM comments)")
    return [f"a thread without comments: {uri}" for (uri,) in stale]


def _likes(ledgers: list[Ledger], isso: Isso) -> list[str]:
    expected = Counter(liked for ledger in ledgers for liked, _ in ledger.likes)
    found = Counter(dict(isso.rows("SELECT id, likes FROM comments")))
    return [
        f"comment {comment} was liked {expected[comment]} times, and has {found[comment]} likes"
        for comment in sorted(expected.keys() | found.keys())
        if expected[comment] != found[comment]
    ]
