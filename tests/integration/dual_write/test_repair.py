"""What a check found is mended, nothing else is touched, and it can be taken back."""

import sqlite3
from contextlib import ExitStack

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from dual_write.check import run_check
from dual_write.errors import RepairRefused
from dual_write.mapping import Column, TableFlow
from dual_write.repair import apply_repair, plan_repair
from tests.integration.dual_write.sides import (
    KEYS,
    PAIRS,
    database,
    flow,
    plant,
    refill,
    relaxed,
    rows,
    table,
)


@pytest.fixture(params=PAIRS, ids="-".join)
def engines(request, tmp_path, postgresql_database):
    with ExitStack() as stack:
        yield tuple(
            stack.enter_context(database(kind, tmp_path, postgresql_database)) for kind in request.param
        )


def stored(engine, made):
    with engine.connect() as connection:
        return sorted(map(repr, connection.execute(made.select())))


def undo(engine, script):
    """As an operator would run it, less the marks of a bookkeeping that is not there."""
    marks = ("SET LOCAL strangler.", "INSERT INTO strangler_session ", "DELETE FROM strangler_session;")
    lines = [line for line in script.split("\n") if not line.startswith(marks)]
    if engine.dialect.name == "sqlite":
        with sqlite3.connect(engine.url.database) as connection:
            connection.executescript("\n".join(lines))
        connection.close()
        return
    with engine.connect() as connection:
        connection.connection.driver_connection.execute("\n".join(lines).encode())
        connection.connection.driver_connection.commit()


@pytest.mark.parametrize("key", KEYS)
def test_a_repair_mends_every_finding_once_and_can_be_undone(engines, key):
    source, target = engines
    made = table("item", key)
    for engine in engines:
        made.create(engine)

    @relaxed
    @given(st.data())
    def repaired(data):
        held, other, _ = plant(data, data.draw(rows(key)), key)
        refill(source, made, held)
        refill(target, made, other)
        before, origin = stored(target, made), stored(source, made)
        flows = [flow(made)]
        findings = run_check(source, target, flows).findings
        plan = plan_repair(source, target, flows, findings, max_deletes=100)
        assert stored(target, made) == before, "a plan writes nothing"
        assert len(plan.statements) == len(findings)

        outcome = apply_repair(target, flows, plan)
        assert (len(outcome.applied), outcome.skipped, outcome.failed) == (len(findings), (), ())
        assert run_check(source, target, flows).clean
        assert stored(target, made) == origin
        assert stored(source, made) == origin
        assert plan_repair(source, target, flows, findings, max_deletes=0).statements == ()
        assert apply_repair(target, flows, plan).applied == ()

        if plan.statements:
            undo(target, plan.undo())
        assert stored(target, made) == before

    repaired()


@pytest.fixture
def family(engines):
    """Parents and children, the children also among themselves; the target lacks or differs in some."""
    source, target = engines
    metadata = sa.MetaData()
    parent = sa.Table(
        "parent", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    )
    child = sa.Table(
        "child",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.ForeignKey("parent.id"), nullable=False),
        sa.Column("elder_id", sa.ForeignKey("child.id")),
        sa.Column("slug", sa.Text, unique=True),
    )
    for engine in engines:
        metadata.create_all(engine)
    return source, target, parent, child


def test_parents_come_before_their_children_and_go_after_them(family):
    source, target, parent, child = family
    refill(source, parent, [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
    refill(
        source,
        child,
        [
            {"id": 12, "parent_id": 2, "elder_id": None, "slug": "l"},
            {"id": 11, "parent_id": 2, "elder_id": 12, "slug": "k"},
        ],
    )
    refill(target, parent, [{"id": 1, "name": "one"}, {"id": 9, "name": "nine"}])
    refill(target, child, [{"id": 19, "parent_id": 9, "elder_id": None, "slug": "z"}])
    flows = [flow(child), flow(parent)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=2)
    assert [(each.action.value, each.table) for each in plan.statements] == [
        ("delete", "child"),
        ("delete", "parent"),
        ("insert", "parent"),
        ("insert", "child"),
        ("insert", "child"),
    ]
    outcome = apply_repair(target, flows, plan)
    assert outcome.failed == ()
    assert run_check(source, target, flows).clean


def test_a_row_that_waits_for_another_is_tried_again(family):
    source, target, parent, child = family
    for engine in (source, target):
        refill(engine, parent, [{"id": 1, "name": "one"}])
    held = [{"id": 1, "slug": "b"}, {"id": 2, "slug": "c"}]
    refill(source, child, [{**row, "parent_id": 1, "elder_id": None} for row in held])
    # 1 wants b, which 2 still has.
    refill(
        target,
        child,
        [
            {**row, "parent_id": 1, "elder_id": None}
            for row in ({"id": 1, "slug": "a"}, {"id": 2, "slug": "b"})
        ],
    )
    flows = [flow(child)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=0)
    outcome = apply_repair(target, flows, plan)
    assert (len(outcome.applied), outcome.failed) == (2, ())
    assert run_check(source, target, flows).clean


def test_deletes_need_leave(family):
    source, target, parent, _ = family
    refill(target, parent, [{"id": number, "name": None} for number in range(3)])
    flows = [flow(parent)]
    findings = run_check(source, target, flows).findings
    with pytest.raises(RepairRefused, match=r"delete 3 rows, and 2 are allowed.*--max-deletes 3"):
        plan_repair(source, target, flows, findings, max_deletes=2)


def test_a_row_that_changed_since_the_plan_is_left_alone(family):
    source, target, parent, _ = family
    refill(source, parent, [{"id": 1, "name": "new"}, {"id": 2, "name": "two"}])
    refill(target, parent, [{"id": 1, "name": "old"}, {"id": 3, "name": "three"}])
    flows = [flow(parent)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=1)
    changed = [{"id": 1, "name": "newer"}, {"id": 2, "name": "other"}, {"id": 3, "name": "changed"}]
    refill(target, parent, changed)
    outcome = apply_repair(target, flows, plan)
    assert (outcome.applied, len(outcome.skipped), outcome.failed) == ((), 3, ())
    assert stored(target, parent) == sorted(repr(tuple(row.values())) for row in changed)


def test_a_row_that_the_target_refuses_is_told_and_stops_nothing(family):
    source, target, parent, _ = family
    with target.begin() as connection:
        connection.exec_driver_sql("DROP TABLE child")
        connection.exec_driver_sql("DROP TABLE parent")
        connection.exec_driver_sql("CREATE TABLE parent (id integer PRIMARY KEY, name text NOT NULL)")
    refill(source, parent, [{"id": 1, "name": None}, {"id": 2, "name": "two"}])
    flows = [flow(parent)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=0)
    outcome = apply_repair(target, flows, plan)
    assert [each.key for each in outcome.applied] == [(2,)]
    assert [each.statement.key for each in outcome.failed] == [(1,)]
    assert "null" in outcome.failed[0].reason.lower()


def test_a_plan_shows_no_values(family):
    source, target, parent, _ = family
    refill(source, parent, [{"id": 1, "name": "hunter2"}])
    refill(target, parent, [{"id": 1, "name": "hunter3"}])
    flows = [flow(parent)]
    result = run_check(source, target, flows)
    plan = plan_repair(source, target, flows, result.findings, max_deletes=0)
    assert plan.to_json() == {"statements": ["update parent [1] (name)"], "deletes": 0}
    assert "hunter" not in str(result.to_json())
    assert "hunter3" in plan.undo()


def test_columns_are_mended_through_the_mapping(engines):
    source, target = engines
    with source.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE saved (id integer PRIMARY KEY, name text, cents integer)")
        connection.exec_driver_sql("INSERT INTO saved VALUES (1, 'ONE', 150), (2, 'TWO', 200)")
    with target.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE query (query_id integer PRIMARY KEY, label text, cents bigint, kind text, own text)"
        )
        connection.exec_driver_sql("INSERT INTO query VALUES (1, 'wrong', 150, 'saved', 'kept')")
    flows = [
        TableFlow(
            "saved",
            "query",
            ("id",),
            ("query_id",),
            (
                Column("query_id", '"id"', "id"),
                Column("label", "lower(name)", None),
                Column("cents", '"cents"', "cents"),
                Column("kind", "'saved'", None),
            ),
        )
    ]
    findings = run_check(source, target, flows).findings
    assert [(each.kind.value, each.key, each.columns) for each in findings] == [
        ("different", (1,), ("label",)),
        ("missing", (2,), ()),
    ]
    apply_repair(target, flows, plan_repair(source, target, flows, findings, max_deletes=0))
    with target.connect() as connection:
        assert list(connection.exec_driver_sql("SELECT * FROM query ORDER BY 1")) == [
            (1, "one", 150, "saved", "kept"),
            (2, "two", 200, "saved", None),
        ]


@pytest.mark.parametrize("declared", ["text UNIQUE", "text NOT NULL UNIQUE", "integer NOT NULL UNIQUE"])
def test_rows_that_exchange_unique_values_are_mended_and_taken_back(engines, declared):
    source, target = engines
    made = sa.Table(
        "seat",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer if "integer" in declared else sa.Text),
        sa.Column("own", sa.Text),
    )
    for engine in engines:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE TABLE seat (id integer PRIMARY KEY, place {declared}, own text)"
            )
    # Two swap, three go round, one moves on to what another leaves, and one takes what a deleted row had.
    wanted = {1: 2, 2: 1, 3: 4, 4: 5, 5: 3, 6: 7, 7: 8, 10: 9}
    found = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 9: 9, 10: 10}
    kind = int if "integer" in declared else str
    refill(source, made, [{"id": key, "place": kind(place), "own": "o"} for key, place in wanted.items()])
    refill(target, made, [{"id": key, "place": kind(place), "own": "o"} for key, place in found.items()])
    before = stored(target, made)
    flows = [flow(made)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=1)
    outcome = apply_repair(target, flows, plan)
    assert (outcome.skipped, outcome.failed) == ((), ())
    assert run_check(source, target, flows).clean
    assert plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=0) == (
        type(plan)((), plan.postgresql)
    )
    undo(target, plan.undo())
    assert stored(target, made) == before


def test_an_exchange_of_which_one_row_has_changed_leaves_all_of_it_alone(family):
    source, target, parent, child = family
    for engine in (source, target):
        refill(engine, parent, [{"id": 1, "name": "one"}])
    rows = [
        {"id": number, "parent_id": 1, "elder_id": None, "slug": slug}
        for number, slug in ((1, "a"), (2, "b"))
    ]
    refill(source, child, rows)
    refill(target, child, [{**rows[0], "slug": "b"}, {**rows[1], "slug": "a"}])
    flows = [flow(child)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=0)
    refill(target, child, [{**rows[0], "slug": "b"}, {**rows[1], "slug": "changed"}])
    before = stored(target, child)
    outcome = apply_repair(target, flows, plan)
    assert (outcome.applied, outcome.failed) == ((), ())
    assert stored(target, child) == before


def test_a_family_within_one_table_is_mended_in_order_and_taken_back(family):
    source, target, parent, child = family
    for engine in (source, target):
        refill(engine, parent, [{"id": 1, "name": "one"}])
    elders = {11: 12, 12: 13, 13: None}
    refill(
        source,
        child,
        [{"id": key, "parent_id": 1, "elder_id": elders[key], "slug": str(key)} for key in (13, 12, 11)],
    )
    younger = {21: 22, 22: 23, 23: None}
    refill(
        target,
        child,
        [{"id": key, "parent_id": 1, "elder_id": younger[key], "slug": str(key)} for key in (23, 22, 21)],
    )
    before = stored(target, child)
    flows = [flow(child)]
    plan = plan_repair(source, target, flows, run_check(source, target, flows).findings, max_deletes=3)
    assert [(each.action.value, *each.key) for each in plan.statements] == [
        *(("delete", key) for key in (21, 22, 23)),
        *(("insert", key) for key in (13, 12, 11)),
    ]
    assert apply_repair(target, flows, plan).failed == ()
    undo(target, plan.undo())
    assert stored(target, child) == before
