"""While both sides insert, no number is given out twice; afterwards each counts as it did before."""

import pytest

from dual_write.errors import SchemaError
from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle
from tests.integration.dual_write.test_conflict import begin, on_postgresql

ITEM = mapped("item", ("id",), "name")
STEPS = "SELECT seqincrement FROM pg_sequence JOIN pg_class ON oid = seqrelid WHERE relname = 'item_id_seq'"


def inserted(pair: Pair, side: Side, rows: int) -> set[int]:
    before = {key for (key,) in pair[side].query("SELECT id FROM item")}
    pair[side].run(*(f"INSERT INTO item (name) VALUES ('{side}')" for _ in range(rows)))
    return {key for (key,) in pair[side].query("SELECT id FROM item")} - before


def split(pair: Pair) -> Replication:
    pair.monolith.run("INSERT INTO item (name) VALUES ('a'), ('b'), ('c')")
    replication = pair.started(ITEM)
    replication.number(apart=True, lock_timeout=5.0)
    begin(replication, 2)
    return replication


@pytest.mark.parametrize("kind", ["bigserial", "bigint GENERATED ALWAYS AS IDENTITY"])
@on_postgresql
def test_i2_both_sides_insert_without_a_number_given_twice(like_pair: Pair, kind: str) -> None:
    like_pair.define(f"CREATE TABLE item (id {kind} PRIMARY KEY, name text)")
    replication = split(like_pair)
    given = [inserted(like_pair, side, 20) for side in (Side.MONOLITH, Side.SERVICE, Side.MONOLITH)]
    replication.number(apart=True, lock_timeout=5.0)
    given += [inserted(like_pair, side, 20) for side in Side]
    assert len(set().union(*given)) == 100
    for to in Side:
        settle(replication, to)
    like_pair.assert_equal("item")


@on_postgresql
def test_numbers_are_as_before_once_the_split_is_over(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE item (id bigserial PRIMARY KEY, name text)")
    replication = split(like_pair)
    assert [like_pair[side].query(STEPS) for side in Side] == [[(2,)], [(2,)]]
    highest = max(inserted(like_pair, Side.SERVICE, 5) | inserted(like_pair, Side.MONOLITH, 1))
    for _ in range(2):
        replication.number(apart=False, lock_timeout=5.0)
    replication.hand_over_sequences(Side.MONOLITH)
    assert [like_pair[side].query(STEPS) for side in Side] == [[(1,)], [(1,)]]
    assert inserted(like_pair, Side.MONOLITH, 2) == {highest + 1, highest + 2}


@on_postgresql
def test_an_application_that_takes_numbers_by_the_block_keeps_its_blocks(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE item (id bigserial PRIMARY KEY, name text)")
    like_pair.monolith.run("ALTER SEQUENCE item_id_seq INCREMENT BY 50")
    replication = split(like_pair)
    first = {side: min(inserted(like_pair, side, 3)) for side in Side}
    blocks = {
        side: {
            n for start in range(3) for n in range(first[side] + start * 100, first[side] + start * 100 + 50)
        }
        for side in Side
    }
    assert not blocks[Side.MONOLITH] & blocks[Side.SERVICE]
    assert first[Side.MONOLITH] > 101 + 50
    replication.number(apart=False, lock_timeout=5.0)
    assert [like_pair[side].query(STEPS) for side in Side] == [[(50,)], [(1,)]]


@on_postgresql
def test_sessions_let_go_of_numbers_that_they_have_cached(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE item (id bigserial PRIMARY KEY, name text)")
    like_pair.define("ALTER SEQUENCE item_id_seq CACHE 10")
    with like_pair.monolith.engine.connect() as connection:
        connection.exec_driver_sql("INSERT INTO item (name) VALUES ('caches ten')")
        connection.commit()
        split(like_pair)
        connection.exec_driver_sql("INSERT INTO item (name) VALUES ('after')")
        connection.commit()
    taken = inserted(like_pair, Side.SERVICE, 20)
    assert not taken & {key for (key,) in like_pair.monolith.query("SELECT id FROM item")}


@pytest.mark.parametrize("like_pair", ["sqlite"], indirect=True)
def test_numbers_that_sqlite_gives_are_refused(like_pair: Pair) -> None:
    like_pair.define("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
    replication = like_pair.started(ITEM)
    with pytest.raises(SchemaError, match=r"SQLite.*item\.id on the monolith.*strangler advance"):
        replication.require_apart()


def test_keys_that_the_application_makes_are_fine_anywhere(pair: Pair) -> None:
    pair.define("CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT)")
    replication = pair.started(ITEM)
    replication.require_apart()
    replication.number(apart=True, lock_timeout=5.0)
    replication.number(apart=False, lock_timeout=5.0)


@on_postgresql
def test_a_sequence_that_others_may_count_with_is_refused(like_pair: Pair) -> None:
    like_pair.define(
        "CREATE SEQUENCE shared",
        "CREATE TABLE item (id bigint PRIMARY KEY DEFAULT nextval('shared'), name text)",
    )
    replication = like_pair.started(ITEM)
    with pytest.raises(SchemaError, match=r"not owned by its column.*item\.id on the monolith"):
        replication.require_apart()
    like_pair.define("ALTER SEQUENCE shared OWNED BY item.id")
    replication.require_apart()
