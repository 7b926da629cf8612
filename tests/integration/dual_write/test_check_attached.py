"""Two SQLite files, which one engine compares."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from dual_write.check import FULL_SPEED, run_check
from dual_write.check_result import CheckResult
from dual_write.database import open_engine
from dual_write.errors import SchemaError
from dual_write.mapping import Column, TableFlow

Stored = Sequence[tuple[object, ...]]


def flow(*columns: str, table: str = "t", key: str = "id") -> TableFlow:
    return TableFlow(table, table, (key,), (key,), tuple(Column(name, f'"{name}"', name) for name in columns))


def file(path: Path, table: str, rows: Stored, *settings: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in (*settings, table):
            connection.execute(statement)
        marks = ", ".join("?" * len(rows[0])) if rows else ""
        connection.executemany(f"INSERT INTO t VALUES ({marks})", rows)
    return path


def checked(source: Path, target: Path, *flows: TableFlow, chunk_rows: int = 3) -> CheckResult:
    ours, theirs = open_engine(f"sqlite:///{source}"), open_engine(f"sqlite:///{target}")
    try:
        return run_check(ours, theirs, flows, chunk_rows=chunk_rows, manners=FULL_SPEED)
    finally:
        ours.dispose()
        theirs.dispose()


@pytest.mark.parametrize(
    ("table", "source", "target"),
    [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE NOCASE)", "a", "A"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE RTRIM)", "a", "a "),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "", None),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "a\0b", "a\0c"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", "a", b"a"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)", 1, 1.0),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", 1, 1.0),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", 2**62, 2**62 + 1),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", 1, "one"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL)", 0.1, 0.1 + 2**-55),
    ],
)
def test_what_the_engine_takes_for_equal_is_told_apart(
    tmp_path: Path, table: str, source: object, target: object
) -> None:
    rows = [(number, source) for number in range(10)]
    ours = file(tmp_path / "source.db", table, rows)
    same = file(tmp_path / "same.db", table, rows)
    other = file(tmp_path / "target.db", table, [*rows[:7], (7, target), *rows[8:]])
    assert checked(ours, same, flow("id", "v")).clean
    [finding] = checked(ours, other, flow("id", "v")).findings
    assert (finding.key, finding.columns) == ((7,), ("v",))


def test_columns_declared_otherwise_are_compared_by_what_they_mean(tmp_path: Path) -> None:
    ours = file(
        tmp_path / "source.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)", [(1, "01"), (2, "2")]
    )
    theirs = file(
        tmp_path / "target.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER)", [(1, 1), (2, 2)]
    )
    [finding] = checked(ours, theirs, flow("id", "v")).findings
    assert finding.key == (1,)


def test_rows_that_only_one_side_has_are_found(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id TEXT PRIMARY KEY, v TEXT)"
    rows = [(f"k{number:02}", "v") for number in range(20)]
    ours = file(tmp_path / "source.db", table, rows[:5] + rows[6:])
    theirs = file(tmp_path / "target.db", table, rows[:11] + rows[12:] + [("k99", "v")])
    result = checked(ours, theirs, flow("id", "v"))
    assert {(finding.key, str(finding.kind)) for finding in result.findings} == {
        (("k05",), "extra"),
        (("k11",), "missing"),
        (("k99",), "extra"),
    }
    assert result.rows == 19


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_another_encoding_and_text_that_is_none(tmp_path: Path, encoding: str) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"
    ours = file(tmp_path / "source.db", table, [(1, "é"), (2, "ü"), (3, "z")])
    theirs = file(
        tmp_path / "target.db", table, [(1, "é"), (2, "u"), (3, "z")], f"PRAGMA encoding = '{encoding}'"
    )
    [finding] = checked(ours, theirs, flow("id", "v")).findings
    assert finding.key == (2,)
    with closing(sqlite3.connect(ours)) as connection, connection:
        connection.execute("UPDATE t SET v = CAST(x'ff' AS TEXT) WHERE id = 2")
    [finding] = checked(ours, theirs, flow("id", "v")).findings
    assert finding.key == (2,)


def test_a_table_of_the_target_is_not_taken_for_the_sources(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"
    ours = file(tmp_path / "source.db", table, [(1, "a")])
    theirs = file(
        tmp_path / "target.db", table, [(1, "a")], "CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT)"
    )
    with pytest.raises(SchemaError, match=r"source .* has no table 'u'"):
        checked(ours, theirs, flow("id", "v"), flow("id", "v", table="u"))


def test_more_findings_than_are_held_in_memory(tmp_path: Path) -> None:
    table = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"
    ours = file(tmp_path / "source.db", table, [(number, "a") for number in range(6_500)])
    theirs = file(tmp_path / "target.db", table, [(number, "b") for number in range(6_500)])
    result = checked(ours, theirs, flow("id", "v"), chunk_rows=1_000)
    assert [finding.key for finding in result.findings] == [(number,) for number in range(6_500)]
    assert len(result.to_json(10)["tables"][0]["findings"]) == 10  # type: ignore[index]
    assert result.to_json(10)["findings"] == 6_500
