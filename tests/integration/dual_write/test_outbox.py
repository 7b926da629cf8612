"""The outbox logs what triggers log, statement by statement."""

from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.integration.dual_write.applications import (
    NOON,
    Application,
    Child,
    Item,
    Line,
    Parent,
    application,
    items,
    lines,
)
from tests.integration.dual_write.conftest import Pair


@pytest.fixture
def app(like_pair: Pair) -> Iterator[Application]:
    with application(like_pair) as made:
        yield made


def on_connection(*statements: object) -> Callable[[Application], None]:
    def run(app: Application) -> None:
        with app.engine.begin() as connection:
            for statement in statements:
                match statement:
                    case (made, parameters):
                        connection.execute(made, parameters)
                    case made:
                        connection.execute(made)  # type: ignore[call-overload]

    return run


def flush(app: Application) -> None:
    with Session(app.engine) as session:
        session.add_all([Item(name="new"), Item(name="other"), Item(id=70, name="known")])
        session.flush()
        for item in session.scalars(sa.select(Item).where(Item.id < 3)):
            item.price = 0
        session.delete(session.get(Item, 4))
        session.get_one(Line, ("a", NOON)).n = 2
        session.commit()


def flushed_keys(app: Application) -> None:
    with Session(app.engine) as session:
        session.get_one(Item, 1).id = 100
        session.flush()
        session.get_one(Item, 2).id, session.get_one(Item, 3).id = 200, 300
        session.get_one(Line, ("c", NOON)).doc = "d"
        session.commit()


def bulk(app: Application) -> None:
    with Session(app.engine) as session:
        session.bulk_insert_mappings(sa.inspect(Item), [{"name": "x"}, {"name": "y"}])
        session.bulk_update_mappings(sa.inspect(Item), [{"id": 1, "price": 7}, {"id": 2, "price": 8}])
        session.bulk_save_objects([Item(name="z"), Item(id=90, name="zz")])
        session.execute(sa.insert(Item), [{"name": "p"}, {"name": "q"}])
        session.execute(sa.update(Item), [{"id": 3, "price": 9}, {"id": 4, "price": 9}])
        session.execute(sa.update(Item).where(Item.price > 7).values(price=Item.price + 1))
        session.execute(sa.delete(Item).where(Item.name.in_(["p", "2"])))
        assert (
            len(session.scalars(sa.insert(Item).returning(Item), [{"name": "r"}, {"name": "s"}]).all()) == 2
        )
        made = session.scalars(sa.insert(Item).values(name="t").returning(Item)).one()
        assert (made.name, len(session.execute(sa.insert(Item).values(name="u").returning(Item)).one())) == (
            "t",
            1,
        )
        session.commit()


def returning(app: Application) -> None:
    with app.engine.begin() as connection:
        one = connection.execute(items.insert().values(name="o").returning(items.c.name, items.c.id)).all()
        assert [(tuple(row), row.name) for row in one] == [(("o", one[0].id), "o")]
        many = connection.execute(
            items.insert().returning(items.c.id, items.c.name), [{"name": "p"}, {"name": "q"}]
        )
        assert list(many.keys()) == ["id", "name"]
        assert {row.name for row in many} == {"p", "q"}
        changed = connection.execute(
            items.update().where(items.c.id < 3).values(price=1).returning(items.c.price)
        )
        assert changed.scalars().all() == [1, 1]
        moved = connection.execute(items.update().where(items.c.id == 2).values(id=20).returning(items.c.id))
        assert moved.scalar_one() == 20
        assert connection.execute(items.delete().where(items.c.id > 3)).rowcount == 6
        plain = connection.execute(items.insert().values(name="alone"))
        assert plain.inserted_primary_key is not None
        assert plain.inserted_primary_key[0] > 0


def upserts(app: Application) -> None:
    insert = app.upsert(items)
    with app.engine.begin() as connection:
        for made in (
            insert.values(id=1, name="one").on_conflict_do_update(
                index_elements=["id"], set_={"name": "one"}
            ),
            # The conflict is with a row of another key.
            insert.values(id=50, name="3").on_conflict_do_update(index_elements=["name"], set_={"price": 33}),
            insert.values(id=51, name="3").on_conflict_do_nothing(),
        ):
            connection.execute(made)
        connection.execute(insert.on_conflict_do_nothing(), [{"id": 4, "name": "q"}, {"id": 60, "name": "q"}])


OWN = items.c.id == sa.bindparam("own")
other = items.alias("other")
few = sa.select(items.c.id).where(items.c.price > 3).cte("few")
FORMS: dict[str, Callable[[Application], None]] = {
    "flush": flush,
    "flushed keys": flushed_keys,
    "bulk": bulk,
    "returning": returning,
    "upserts": upserts,
    "executemany": on_connection(
        (items.insert(), [{"name": "x"}, {"name": "y"}]),
        (
            items.update().where(items.c.id == sa.bindparam("own")),
            [{"own": 1, "price": 3}, {"own": 2, "price": 4}],
        ),
        (items.delete().where(items.c.id == sa.bindparam("own")), [{"own": 3}, {"own": 4}]),
        (
            items.update().where(items.c.id == sa.bindparam("own")).values(id=sa.bindparam("to")),
            [{"own": 1, "to": 11}, {"own": 2, "to": 12}],
        ),
    ),
    "several values": on_connection(items.insert().values([{"name": "x"}, {"name": "y"}])),
    "insert from select": on_connection(
        items.insert().from_select(["name", "price"], sa.select(items.c.name + "'", items.c.price)),
        lines.insert().from_select(["doc", "at", "n"], sa.select(lines.c.doc + "x", lines.c.at, sa.null())),
    ),
    "key updates": on_connection(
        items.update().values(id=items.c.id + 1000),
        lines.update().where(lines.c.doc == "c").values(doc="moved", n=3),
        lines.update().values(n=items.c.id).where(items.c.price == lines.c.n),
    ),
    "from another table": on_connection(
        items.update().where(items.c.id == other.c.id, other.c.price > 2).values(price=other.c.price * 2),
        items.delete().where(sa.exists().where(other.c.id == items.c.id, other.c.price > 8)),
    ),
    "a table by its name": on_connection(
        sa.table("items", sa.column("name")).insert().values(name="x"),
        sa.table("items", sa.column("name"), sa.column("price")).update().values(price=4),
        sa.table("items").delete(),
    ),
    "a cte": on_connection(items.delete().where(items.c.id.in_(sa.select(few.c.id)))),
    "cascades": on_connection(
        sa.delete(Parent).where(Parent.id == 1),
        sa.delete(Child).where(Child.id == 3),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_outbox_logs_what_triggers_log(app: Application, form: str) -> None:
    before = len(app.log("triggers"))
    assert sorted(app.log("outbox")) == sorted(app.log("triggers"))
    FORMS[form](app)
    logged = app.log("triggers")
    assert len(logged) > before
    # The order within a statement may differ; a row may be told twice, which does no harm.
    assert set(app.log("outbox")) == set(logged)
    if form not in {"flushed keys", "key updates", "executemany", "cascades", "upserts"}:
        assert sorted(app.log("outbox")) == sorted(logged)
