"""The visitors and their ledger on isso alone: what the journey demands is true before anything moves."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.real.isso.ledger import differences
from tests.real.isso.server import Isso
from tests.real.isso.visitors import Visitor


@pytest.fixture
def isso(tmp_path: Path) -> Iterator[Isso]:
    isso = Isso(tmp_path / "isso")
    isso.start()
    yield isso
    isso.stop()


def test_isso_alone_keeps_what_it_acknowledged(isso: Isso) -> None:
    visitors = [Visitor(number, isso.url) for number in range(3)]
    for visitor in visitors:
        visitor.fill_archive()
    for _ in range(40):
        for visitor in visitors:
            visitor.act()
    isso.restart()
    for visitor in visitors:
        for _ in range(20):
            visitor.act()
        visitor.like_again()
        visitor.close()

    ledgers = [visitor.ledger for visitor in visitors]
    assert [failure for ledger in ledgers for failure in ledger.failures] == []
    assert sum(ledger.stale for ledger in ledgers) == 0
    assert sum(len(ledger.deleted) for ledger in ledgers) > 0
    assert sum(len(ledger.likes) for ledger in ledgers) > 0
    assert differences(ledgers, isso) == []


def test_the_ledger_sees_every_kind_of_difference(isso: Isso) -> None:
    visitor = Visitor(1, isso.url)
    visitor.fill_archive()
    visitor.write("/diary/1/")
    visitor.like()
    visitor.close()
    ((liked, _),) = visitor.ledger.likes
    isso.stop()
    with closing(sqlite3.connect(isso.database)) as database, database:
        database.execute("UPDATE comments SET text = 'older' WHERE id = 1")
        database.execute("UPDATE comments SET likes = 2 WHERE id = ?", [liked])
        database.execute("UPDATE comments SET mode = 4 WHERE id = 2")
        database.execute("INSERT INTO threads (uri) VALUES ('/empty/')")

    kinds = [difference.partition(":")[0] for difference in differences([visitor.ledger], isso)]

    assert kinds == [
        "lost",
        "lost",
        "never acknowledged",
        "emptied, but not by its author",
        "a thread without comments",
        f"comment {liked} was liked 1 times, and has 2 likes",
    ]
