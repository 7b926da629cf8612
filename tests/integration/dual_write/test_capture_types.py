"""Rows of every column type arrive as they were, by backfill and by change; and so do rows with any key."""

from dual_write.replication import Replication
from flags.side import Side
from tests.integration.dual_write.conftest import Pair, mapped, settle, switch

POSTGRESQL = {
    "c_numeric": ("numeric", ["'NaN'", "'Infinity'", "'-Infinity'", "1.50", "-0.000000000000000000001"]),
    "c_scaled": ("numeric(12,2)", ["'NaN'", "1.5", "0"]),
    "c_small": ("smallint", ["-32768", "32767"]),
    "c_big": ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    "c_real": ("real", ["'NaN'", "'-0'", "'Infinity'", "0.1", "1e-45"]),
    "c_double": ("double precision", ["'NaN'", "'-0'", "0.1", "1e-323", "1.7976931348623157e308"]),
    "c_bool": ("boolean", ["true", "false"]),
    "c_char": ("char(5)", ["'a'", "''", "'  b'"]),
    "c_one": ('"char"', ["'x'"]),
    "c_varchar": ("varchar(9)", ["'a '", "''", "E'\\\\N'", "E'\\t\\n'", "'NULL'"]),
    "c_name": ("name", ["'pg'"]),
    "c_date": ("date", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'9999-12-31'"]),
    "c_time": ("time", ["'24:00'", "'00:00:00.000001'"]),
    "c_timetz": ("timetz", ["'12:00+05:45'"]),
    "c_timestamp": ("timestamp", ["'infinity'", "'2024-02-29 23:59:59.999999'"]),
    "c_timestamptz": ("timestamptz", ["'infinity'", "'-infinity'", "'2024-03-31 01:30+01'"]),
    "c_interval": ("interval", ["'1 mon -2 days 03:04:05.678'", "'-1 year'"]),
    "c_json": ("json", ['\'{"b": 1,  "a": [1.10, null], "b": 2}\'', "'null'"]),
    "c_jsonb": ("jsonb", ['\'{"b": 1, "a": [1.10, 1e400, "\\u00e9"]}\'', "'null'", "'\"x\"'"]),
    "c_array": ("integer[]", ["'{}'", "'{1,NULL,3}'", "'[0:1]={1,2}'", "'{{1,2},{3,4}}'"]),
    "c_texts": ("text[]", ['\'{"a,b","\\"",NULL,"NULL",""}\'']),
    "c_bytes": ("bytea", ["'\\x'", "'\\x00ff5c27'"]),
    "c_uuid": ("uuid", ["'00000000-0000-0000-0000-000000000001'"]),
    "c_enum": ("mood", ["'so so'", "'ok'"]),
    "c_domain": ("positive", ["1.25"]),
    "c_pair": ("pair", ["ROW(1, 'a,\"b')", "ROW(NULL, '')"]),
    "c_range": ("int4range", ["'empty'", "'[1,5)'", "'(,3)'"]),
    "c_ranges": ("tstzmultirange", ["'{[2024-01-01,2024-01-02),[2024-02-01,)}'"]),
    "c_inet": ("inet", ["'10.0.0.1/8'", "'::1'"]),
    "c_cidr": ("cidr", ["'10.0.0.0/8'"]),
    "c_mac": ("macaddr", ["'08:00:2b:01:02:03'"]),
    "c_bits": ("bit(3)", ["B'101'"]),
    "c_varbits": ("bit varying", ["B''", "B'1'"]),
    "c_money": ("money", ["'-12.34'"]),
    "c_point": ("point", ["'(1.5,-2)'"]),
    "c_vector": ("tsvector", ["'a:1 b:2'"]),
    "c_xml": ("xml", ["'<a>&amp;</a>'"]),
}
DEFINED = (
    "CREATE TYPE mood AS ENUM ('ok', 'so so')",
    "CREATE DOMAIN positive AS numeric CHECK (VALUE > 0)",
    "CREATE TYPE pair AS (n integer, t text)",
    "CREATE TABLE types (id integer PRIMARY KEY, "
    + ", ".join(f"{name} {type_}" for name, (type_, _) in POSTGRESQL.items())
    + ", g_twice numeric GENERATED ALWAYS AS (c_scaled * 2) STORED)",
)
TYPES = mapped("types", ("id",), *POSTGRESQL)


def fill(first: int) -> list[str]:
    """One row of NULLs, and one for each value."""
    values = [(name, value) for name, (_, listed) in POSTGRESQL.items() for value in listed]
    return [
        f"INSERT INTO types (id) VALUES ({first})",
        *(
            f"INSERT INTO types (id, {name}) VALUES ({first + number}, {value})"
            for number, (name, value) in enumerate(values, 1)
        ),
    ]


def same_text(pair: Pair, table: str) -> None:
    """Compared by PostgreSQL's own text, in which NaN equals itself and -0 differs from 0."""
    query = f"SELECT t::text FROM {table} AS t ORDER BY 1"
    assert pair.service.query(query) == pair.monolith.query(query)


def test_every_type_of_postgresql_there_and_back(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(*DEFINED)
    pair.monolith.run(*fill(0))
    replication = pair.started(TYPES)
    same_text(pair, "types")
    with pair.monolith.transaction() as run:
        for setting in (
            "timezone = 'Asia/Kathmandu'",
            "datestyle = 'German'",
            "intervalstyle = 'iso_8601'",
            "bytea_output = 'escape'",
            "extra_float_digits = -5",
            "lc_monetary = 'C'",
        ):
            run(f"SET LOCAL {setting}")
        for statement in fill(1000):
            run(statement)
    settle(replication)
    assert not replication.parked(Side.SERVICE)
    same_text(pair, "types")
    switch(replication, Side.SERVICE, 2)
    pair.service.run("UPDATE types SET id = id + 5000 WHERE id >= 1000", "DELETE FROM types WHERE id < 5")
    settle(replication, Side.MONOLITH)
    assert not replication.parked(Side.MONOLITH)
    same_text(pair, "types")


KEYS = {
    "uuid": ["'00000000-0000-0000-0000-000000000001'", "gen_random_uuid()"],
    "numeric": ["1.50", "'NaN'", "1e40"],
    "timestamptz": ["'infinity'", "'2024-03-31 01:30+01'", "'2024-01-01 00:00:00.000001Z'"],
    "date": ["'-infinity'", "'2024-02-29'"],
    "bytea": ["'\\x'", "'\\x00ff'"],
    "char(4)": ["'a'", "''"],
    "mood": ["'so so'"],
    "positive": ["0.10"],
    "inet": ["'10.0.0.1'", "'10.0.0.1/8'"],
    "interval": ["'1 mon'", "'40 days'", "'-1 year 2 mons -03:00:00.000001'"],
    "boolean": ["true", "false"],
    "double precision": ["0.1", "'-Infinity'", "1e-323"],
    "int4range": ["'[1,5)'", "'empty'"],
    "integer[]": ["'{1,2}'", "'{}'"],
    "text[]": ["'{NULL,\"NULL\",a}'"],
    "pair": ["ROW(1, 'a,b')"],
    "jsonb": ["'{\"a\": [1, null]}'", "'1'", "'\"1\"'"],
    "bit(3)": ["B'101'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
}


def test_keys_of_any_type_are_followed(postgresql_pair: Pair) -> None:
    pair = postgresql_pair
    pair.define(*DEFINED[:3])
    mappings = []
    for number, type_ in enumerate(KEYS):
        pair.define(f"CREATE TABLE k{number} (id {type_}, part integer, v text, PRIMARY KEY (id, part))")
        mappings.append(mapped(f"k{number}", ("id", "part"), "v"))
    replication = pair.started(*mappings)
    for number, values in enumerate(KEYS.values()):
        with pair.monolith.transaction() as run:
            run("SET LOCAL timezone = 'Asia/Kathmandu'")
            run("SET LOCAL bytea_output = 'escape'")
            run("SET LOCAL intervalstyle = 'iso_8601'")
            run("SET LOCAL datestyle = 'German'")
            for value in values:
                run(f"INSERT INTO k{number} VALUES ({value}, 1, 'a'), ({value}, 2, 'b'), ({value}, 3, 'c')")
            run(f"UPDATE k{number} SET part = 9, v = 'moved' WHERE part = 3")
        pair.monolith.run(
            f"UPDATE k{number} SET v = 'seen' WHERE part = 1", f"DELETE FROM k{number} WHERE part = 2"
        )
    settle(replication)
    assert not replication.parked(Side.SERVICE)
    for number in range(len(KEYS)):
        same_text(pair, f"k{number}")
    pair.monolith.run(*(f"DELETE FROM k{number}" for number in range(len(KEYS))))
    settle(replication)
    for number in range(len(KEYS)):
        assert not pair.service.query(f"SELECT * FROM k{number}"), list(KEYS)[number]


def test_the_loose_types_of_sqlite_there_and_back(sqlite_pair: Pair) -> None:
    pair = sqlite_pair
    pair.define(
        "CREATE TABLE loose (id INTEGER PRIMARY KEY, i INTEGER, t TEXT, r REAL, n NUMERIC, b BLOB, x, "
        "twice INTEGER GENERATED ALWAYS AS (i * 2) STORED, seen TEXT AS (typeof(t)) VIRTUAL)",
        "CREATE TABLE strict_ (id INTEGER PRIMARY KEY, i INTEGER, t TEXT, r REAL, b BLOB, a ANY) STRICT",
        "CREATE TABLE bare (a, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID",
    )
    numbers = ["NULL", "1", "-9223372036854775808", "1.5", "9e999", "1e300"]
    values = [*numbers, "'text'", "'1'", "''", "x''", "x'00ff'"]
    loose = [
        f"INSERT INTO loose (id, i, t, r, n, b, x) VALUES ({{}} + {number}{f', {value}' * 6})"
        for number, value in enumerate(values)
    ]
    pair.monolith.run(*(each.format(0) for each in loose))
    replication: Replication = pair.started(
        mapped("loose", ("id",), "i", "t", "r", "n", "b", "x"),
        mapped("strict_", ("id",), "i", "t", "r", "b", "a"),
        mapped("bare", ("a", "b"), "v"),
    )
    pair.monolith.run(
        *(each.format(100) for each in loose),
        "INSERT INTO strict_ VALUES (1, 2, 'x', 1.0, x'00', x'01'), (2, NULL, '', 0.1, x'', '7')",
        "INSERT INTO strict_ VALUES (3, 1, '', 1, x'', 7)",
        "INSERT INTO bare VALUES (1, '1', 'a'), ('1', 1, 'b'), (x'31', 1.5, 'c'), (0.1, '', 'd')",
        "UPDATE bare SET a = 2 WHERE v = 'a'",
        "DELETE FROM bare WHERE v = 'b'",
    )
    settle(replication)
    assert not replication.parked(Side.SERVICE)
    same_values(pair)
    switch(replication, Side.SERVICE, 2)
    pair.service.run("UPDATE loose SET id = id + 1000, x = i WHERE id >= 100", "UPDATE bare SET b = x'00'")
    settle(replication, Side.MONOLITH)
    assert not replication.parked(Side.MONOLITH)
    same_values(pair)


def same_values(pair: Pair) -> None:
    for table, columns in (
        ("loose", ["id", "i", "t", "r", "n", "b", "x", "twice", "seen"]),
        ("strict_", ["id", "i", "t", "r", "b", "a"]),
        ("bare", ["a", "b", "v"]),
    ):
        listed = ", ".join(f"typeof({column}), {column}" for column in columns)
        query = f"SELECT {listed} FROM {table} ORDER BY {', '.join(columns)}"
        assert pair.service.query(query) == pair.monolith.query(query), table


def test_a_key_that_changes_its_text_alone_keeps_its_row(postgresql_pair: Pair, sqlite_pair: Pair) -> None:
    """Also when the two entries of the change are carried one by one."""
    postgresql_pair.define("CREATE TABLE t (id numeric PRIMARY KEY, v text)")
    sqlite_pair.define("CREATE TABLE t (id TEXT COLLATE NOCASE PRIMARY KEY, v TEXT)")
    for pair, old, new in ((postgresql_pair, "1.50", "1.5"), (sqlite_pair, "'a'", "'A'")):
        replication = pair.started(mapped("t", ("id",), "v"))
        pair.monolith.run(f"INSERT INTO t VALUES ({old}, 'x')")
        settle(replication)
        pair.monolith.run(f"UPDATE t SET id = {new}, v = 'y'")
        assert [replication.step(Side.SERVICE, limit=1) for _ in range(3)] == [1, 1, 0]
        pair.assert_equal("t")
        assert len(pair.rows(Side.SERVICE, "t")) == 1
