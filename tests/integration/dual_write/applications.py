"""An application whose tables are captured twice: by triggers, and by its own outbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from dual_write import outbox
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


@contextmanager
def application(pair: Pair) -> Iterator[Application]:
    for side in Side:
        engine = sa.create_engine(pair[side].url)
        Base.metadata.create_all(engine)
        engine.dispose()
    for phase in ("triggers", "outbox"):
        pair.replication(*MAPPINGS, phase=phase, outbox=phase == "outbox").install()
    made = Application(pair)
    outbox.install(made.engine)
    with Session(made.engine) as session:
        session.add_all([Item(name=str(n), price=n) for n in range(1, 6)])
        session.add_all([Line(doc=doc, at=NOON, n=1) for doc in ("a", 'b"%', "c")])
        session.add(Parent(id=1))
        session.flush()
        session.add_all([Child(id=1, parent=1), Child(id=2, parent=1), Child(id=3, parent=None)])
        session.flush()
        session.add_all([Toy(id=1, child=1), Toy(id=2, child=3)])
        session.commit()
    yield made
    made.engine.dispose()
