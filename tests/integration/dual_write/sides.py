"""Pairs of databases with tables of every type, each in the form its engine gives them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from dual_write.database import open_engine
from dual_write.mapping import Column, TableFlow

ENGINES = ["sqlite", "postgresql"]
PAIRS = [(one, other) for one in ENGINES for other in ENGINES]

TYPES = {
    "name": sa.Text(),
    "code": sa.String(20),
    "number": sa.BigInteger(),
    "price": sa.Numeric(12, 2),
    "ratio": sa.Float(53),
    "active": sa.Boolean(),
    "created": sa.DateTime(),
    "day": sa.Date(),
    "clock": sa.Time(),
    "payload": sa.JSON(none_as_null=True),
    "raw": sa.LargeBinary(),
    "token": sa.Uuid(),
}
KEYS = {
    "integer": {"id": sa.BigInteger()},
    "text": {"id": sa.Text()},
    "uuid": {"id": sa.Uuid()},
    "timestamp": {"id": sa.DateTime()},
    "composite": {"tenant": sa.Text(), "id": sa.BigInteger()},
}

# PostgreSQL stores no NUL in text, and no surrogate is UTF-8.
text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
lookalikes = st.sampled_from(
    ["", "NULL", "<null>", "\\N", "a,b", "a|b", "'", '"', "é", "e\u0301", " a", "a "]
)
numbers = st.integers(-(2**63), 2**63 - 1)
moments = st.datetimes()
# JSON text in SQLite's numeric affinity is no text any more when it is one number: objects and lists only.
json_inner = st.none() | st.booleans() | numbers | text
payloads = st.dictionaries(text, json_inner, max_size=3) | st.lists(json_inner, max_size=3)

VALUES = {
    "name": text | lookalikes,
    "code": lookalikes,
    "number": numbers,
    "price": st.decimals(-(10**9), 10**9, places=2),
    # SQLite stores neither NaN nor -0.0.
    "ratio": st.floats(allow_nan=False).map(lambda value: value + 0.0),
    "active": st.booleans(),
    "created": moments,
    "day": st.dates(),
    "clock": st.times(),
    "payload": payloads,
    "raw": st.binary(max_size=12),
    "token": st.uuids(),
}
KEY_VALUES = {
    "integer": st.fixed_dictionaries({"id": numbers}),
    "text": st.fixed_dictionaries({"id": text | lookalikes}),
    "uuid": st.fixed_dictionaries({"id": st.uuids()}),
    "timestamp": st.fixed_dictionaries({"id": moments}),
    "composite": st.fixed_dictionaries({"tenant": text | lookalikes, "id": numbers}),
}


def table(name: str, key: str) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        *(
            sa.Column(column, kind, primary_key=True, autoincrement=False)
            for column, kind in KEYS[key].items()
        ),
        *(sa.Column(column, kind) for column, kind in TYPES.items()),
    )


def key_names(made: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in made.primary_key)


def rows(key: str) -> st.SearchStrategy[list[dict[str, object]]]:
    row = st.builds(
        lambda identity, values: {**identity, **values},
        KEY_VALUES[key],
        st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()}),
    )
    names = list(KEYS[key])
    return st.lists(row, max_size=25, unique_by=lambda values: tuple(values[name] for name in names))


def flow(made: sa.Table, target: str | None = None) -> TableFlow:
    columns = tuple(Column(column.name, f'"{column.name}"', column.name) for column in made.columns)
    return TableFlow(made.name, target or made.name, key_names(made), key_names(made), columns)


@contextmanager
def database(kind: str, directory: Path, postgresql_database: Callable[[], str]) -> Iterator[sa.Engine]:
    number = len(list(directory.glob("*.db")))
    url = f"sqlite:///{directory}/{number}.db" if kind == "sqlite" else postgresql_database()
    engine = open_engine(url)
    if kind == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE touched (x)")
            connection.commit()
    try:
        yield engine
    finally:
        engine.dispose()


def refill(engine: sa.Engine, made: sa.Table, values: list[dict[str, object]]) -> None:
    with engine.begin() as connection:
        connection.execute(made.delete())
        if values:
            connection.execute(made.insert(), values)


relaxed = settings(
    max_examples=12,
    deadline=None,
    # Every example is a round trip to real databases: shrinking would outlast the test's time limit.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

Rows = list[dict[str, object]]
Planted = dict[tuple[object, ...], tuple[str, tuple[str, ...]]]


def plant(data: st.DataObject, original: Rows, key: str) -> tuple[Rows, Rows, Planted]:
    """What the source and the target hold, and the differences between them by key: kind and columns."""
    source: Rows = []
    target: Rows = []
    expected: Planted = {}
    for row in original:
        identity = tuple(row[name] for name in KEYS[key])
        match data.draw(
            st.sampled_from(["same", "same", "missing", "extra", "different", "swapped", "moved"])
        ):
            case "same":
                source.append(row)
                target.append(row)
            case "missing":
                source.append(row)
                expected[identity] = ("missing", ())
            case "extra":
                target.append(row)
                expected[identity] = ("extra", ())
            case "swapped":
                source.append(row)
                target.append({**row, "name": row["code"], "code": row["name"]})
                if row["name"] != row["code"]:
                    expected[identity] = ("different", ("name", "code"))
            case "moved":
                # Were values only joined, these would be one text.
                separator = data.draw(st.sampled_from([",", "|", "\t", "\x1f", "', '", "\\N"]))
                source.append({**row, "name": f"a{separator}b", "code": "c"})
                target.append({**row, "name": "a", "code": f"b{separator}c"})
                expected[identity] = ("different", ("name", "code"))
            case _:
                column = data.draw(st.sampled_from(list(VALUES)))
                other = (st.none() | VALUES[column]).filter(lambda value, old=row[column]: value != old)
                source.append(row)
                target.append({**row, column: data.draw(other)})
                expected[identity] = ("different", (column,))
    return source, target, expected
