"""Invariants of the plan: asked on both sides, judged only when the answers hold still."""

from contextlib import ExitStack

import pytest

from dual_write.errors import CheckFailed, SchemaError
from dual_write.invariants import Holding, Invariant, check_invariants
from tests.integration.dual_write.sides import PAIRS, database

TOTAL = Invariant("total", "SELECT sum(price), count(*) FROM item", "SELECT sum(price), count(*) FROM item")


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        sides = tuple(
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )
        for engine in sides:
            with engine.begin() as connection:
                connection.exec_driver_sql(
                    "CREATE TABLE item (id integer PRIMARY KEY, price integer, name text)"
                )
                connection.exec_driver_sql("INSERT INTO item VALUES (1, 10, 'a'), (2, 5, 'bc')")
        yield sides


def run(engines, *invariants, settle=None):
    return [result.holding for result in check_invariants(*engines, invariants, settle)]


def execute(engine, statement):
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_the_same_answer_on_both_sides_holds(engines):
    rows = "SELECT name, price FROM item WHERE name LIKE '%c' OR price > 5"
    assert run(engines, TOTAL, Invariant("rows", rows, rows + " ORDER BY name DESC")) == [Holding.HOLDS] * 2


def test_different_answers_break_it_and_say_so(engines):
    execute(engines[1], "UPDATE item SET price = 11 WHERE id = 1")
    one = Invariant("sum", "SELECT sum(price) FROM item", "SELECT sum(price) FROM item")
    [result] = check_invariants(*engines, [one], None)
    assert (result.holding, result.said) == (Holding.BROKEN, "15 against 16")


def test_values_that_are_no_numbers_are_not_shown(engines):
    execute(engines[1], "UPDATE item SET name = 'secret' WHERE id = 1")
    one = Invariant("names", "SELECT name FROM item", "SELECT name FROM item")
    [result] = check_invariants(*engines, [one], None)
    assert (result.holding, result.said) == (Holding.BROKEN, "2 rows against 2 rows")


@pytest.mark.parametrize("expected", [0, 0.0, False])
def test_one_side_can_be_held_to_a_value(engines, expected):
    negative = Invariant("none negative", None, "SELECT count(*) FROM item WHERE price < 0", expected)
    assert run(engines, negative) == [Holding.HOLDS]
    execute(engines[1], "UPDATE item SET price = -1")
    assert run(engines, negative) == [Holding.BROKEN]


def test_what_is_on_its_way_does_not_break_it(engines):
    execute(engines[0], "INSERT INTO item VALUES (3, 1, 'c')")

    def arrive():
        execute(engines[1], "INSERT INTO item VALUES (3, 1, 'c') ON CONFLICT DO NOTHING")
        return True

    assert run(engines, TOTAL, settle=arrive) == [Holding.HOLDS]


def test_what_never_holds_still_is_undecided(engines):
    execute(engines[1], "DELETE FROM item WHERE id = 2")

    def move():
        execute(engines[1], "UPDATE item SET price = price + 10")
        return True

    assert run(engines, TOTAL, settle=move) == [Holding.UNDECIDED]


def test_replication_that_does_not_catch_up_is_an_error(engines):
    execute(engines[1], "DELETE FROM item")
    with pytest.raises(CheckFailed, match="'total' could not be judged"):
        run(engines, TOTAL, settle=lambda: False)


def test_a_statement_that_cannot_be_run_or_compared_is_an_error(engines):
    with pytest.raises((CheckFailed, SchemaError), match="no_table"):
        run(engines, Invariant("broken", None, "SELECT 1 FROM no_table", 1))
    with pytest.raises(CheckFailed, match="one value on the monolith"):
        run(engines, Invariant("wide", "SELECT id, price FROM item", None, 1))
    with pytest.raises(CheckFailed, match=r"read-?only"):
        run(engines, Invariant("writing", "DELETE FROM item", None, 0))
    assert run(engines, TOTAL) == [Holding.HOLDS]
