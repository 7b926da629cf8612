"""The outbox logs what triggers log, statement by statement: both capture the same tables here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from dual_write import outbox
from dual_write.errors import UncapturedError
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(unique=True)
    price: Mapped[int | None]


class Line(Base):
    """A key of several columns, of which one is a time."""

    __tablename__ = "Order Lines"
    doc: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), primary_key=True)
    n: Mapped[int | None]


class Parent(Base):
    """Not captured itself."""

    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[list["Child"]] = relationship(passive_deletes="all")


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent: Mapped[int | None] = mapped_column(sa.ForeignKey("parents.id", ondelete="CASCADE"))
    above: Mapped[int | None] = mapped_column(sa.ForeignKey("children.id", ondelete="CASCADE"))


class Toy(Base):
    __tablename__ = "toys"
    id: Mapped[int] = mapped_column(primary_key=True)
    child: Mapped[int | None] = mapped_column(sa.ForeignKey("children.id", ondelete="SET NULL"))


MAPPINGS = (
    mapped("items", ("id",), "name", "price"),
    mapped("Order Lines", ("doc", "at"), "n"),
    mapped("children", ("id",), "parent", "above"),
    mapped("toys", ("id",), "child"),
)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
items, lines = Item.__table__, Line.__table__
assert isinstance(items, sa.Table)
assert isinstance(lines, sa.Table)


class Application:
    """The monolith's own engine, with what both kinds of capture have logged."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.engine = sa.create_engine(sa.make_url(pair.monolith.url).set(query={}))
        self.dialect = self.engine.dialect.name
        if self.dialect == "sqlite":
            sa.event.listen(
                self.engine, "connect", lambda driver, _: driver.execute("PRAGMA foreign_keys = ON") and None
            )

    def log(self, phase: str) -> list[tuple[str, str]]:
        name = "strangler_change" if self.dialect == "sqlite" else "strangler.change"
        return self.pair.monolith.query(  # type: ignore[return-value] # two columns
            f"SELECT tbl, key FROM {name} WHERE stream = '{phase}>service' ORDER BY id"
        )

    def upsert(self, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
        return sqlite.insert(table) if self.dialect == "sqlite" else postgresql.insert(table)


@pytest.fixture
def app(like_pair: Pair) -> Iterator[Application]:
    for side in Side:
        engine = sa.create_engine(like_pair[side].url)
        Base.metadata.create_all(engine)
        engine.dispose()
    for phase in ("triggers", "outbox"):
        like_pair.replication(*MAPPINGS, phase=phase, outbox=phase == "outbox").install()
    application = Application(like_pair)
    outbox.install(application.engine)
    with Session(application.engine) as session:
        session.add_all([Item(name=str(n), price=n) for n in range(1, 6)])
        session.add_all([Line(doc=doc, at=NOON, n=1) for doc in ("a", 'b"%', "c")])
        session.add(Parent(id=1))
        session.flush()
        session.add_all([Child(id=1, parent=1), Child(id=2, parent=1), Child(id=3, parent=None)])
        session.flush()
        session.add_all([Toy(id=1, child=1), Toy(id=2, child=3)])
        session.commit()
    yield application
    application.engine.dispose()


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


def test_nothing_is_logged_of_what_is_rolled_back(app: Application) -> None:
    before = app.log("outbox")
    with Session(app.engine) as session:
        session.add(Item(name="gone"))
        session.flush()
        session.execute(sa.update(Item).values(price=0))
        session.rollback()
    assert app.log("outbox") == before
    with Session(app.engine) as session:
        kept = Item(name="kept")
        session.add(kept)
        with session.begin_nested() as savepoint:
            session.add(Item(name="gone"))
            session.flush()
            savepoint.rollback()
        session.flush()
        key = f"[{kept.id}]"
        session.commit()
    assert app.log("outbox")[len(before) :] == [("items", key)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET price = 0",
        'DELETE FROM "Order Lines"',
        "INSERT INTO /* now */ items (name) VALUES ('x')",
        "WITH few AS (SELECT 1) UPDATE items SET price = 0",
    ],
)
def test_text_that_writes_to_a_captured_table_is_refused(app: Application, statement: str) -> None:
    for made in (lambda c: c.execute(sa.text(statement)), lambda c: c.exec_driver_sql(statement)):
        with (
            app.engine.begin() as connection,
            pytest.raises(UncapturedError, match=r"given as text.*insert\(\)"),
        ):
            made(connection)
    with app.engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 'UPDATE items' FROM items")).all()
        connection.execute(sa.text("UPDATE parents SET id = id"))


def test_text_may_be_let_through_with_a_warning(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    engine = sa.create_engine(app.engine.url)
    outbox.install(engine, text="warn")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE items SET price = 0"))
    engine.dispose()
    assert "given as text" in caplog.text


def test_what_cannot_be_logged_exactly_is_refused(app: Application) -> None:
    nested = sa.select(items.delete().returning(items.c.id).cte("gone"))
    many = items.update().where(OWN).values(id=items.c.id + sa.bindparam("by"))
    statements = [(many, [{"own": 1, "by": 10}, {"own": 2, "by": 10}], "the database computes")]
    if app.dialect == "sqlite":
        replaced = items.insert().prefix_with("OR REPLACE").values(id=1, name="2")
        statements.append((replaced, {}, "on_conflict_do_update"))  # type: ignore[arg-type] # no parameters
    else:
        statements.append((nested, {}, "given as text"))  # type: ignore[arg-type] # a select
    for statement, parameters, said in statements:
        with app.engine.connect() as connection, pytest.raises(UncapturedError, match=said):
            connection.execute(statement, parameters)
    with (
        app.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(UncapturedError, match="autocommit"),
    ):
        connection.execute(items.insert().values(name="x"))
    with Session(app.engine) as session:
        session.execute(sa.update(Child).where(Child.id == 2).values(above=1))
        with pytest.raises(UncapturedError, match="leads back to the same table"):
            session.execute(sa.delete(Child).where(Child.id == 1))
