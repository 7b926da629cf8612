"""`strangler check --source … --target … --table …`: two databases compared without a plan."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dual_write.check import Manners, run_check
from dual_write.database import open_engine
from dual_write.errors import CheckFailed
from dual_write.mapping import Column, TableFlow
from flags.side import Side
from migration.checking import check_databases
from migration.cli import main
from migration.wiring import Wiring

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The exit code and what was printed; both databases hold fifty equal rows."""
    for side in ("source", "target"):
        execute(tmp_path, side, "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        rows = ", ".join(f"({number}, 'name {number}')" for number in range(50))
        execute(tmp_path, side, f"INSERT INTO items VALUES {rows}")

    def check(*arguments: str) -> tuple[int, str, str]:
        urls = ("--source", url(tmp_path, "source"), "--target", url(tmp_path, "target"))
        monkeypatch.setattr(sys, "argv", ["strangler", "check", *urls, *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return check


def url(directory: Path, side: str) -> str:
    return f"sqlite:///{directory / side}.db"


def execute(directory: Path, side: str, statement: str) -> None:
    with closing(sqlite3.connect(directory / f"{side}.db")) as connection, connection:
        connection.execute(statement)


def test_equal_tables_are_clean(run: Run) -> None:
    code, out, _ = run("--table", "items", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["clean"] is True
    assert told["rows"] == 50


def test_every_finding_is_exported(run: Run, tmp_path: Path) -> None:
    execute(tmp_path, "target", "DELETE FROM items WHERE id < 30")
    execute(tmp_path, "target", "UPDATE items SET name = NULL WHERE id = 40")
    file = tmp_path / "findings.jsonl"
    code, out, _ = run("--table", "items", "--export", str(file))
    assert code == 1
    assert f"and 11 more; {file} lists them all" in out
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert {(each["kind"], each["key"][0]) for each in found} == {
        *(("missing", number) for number in range(30)),
        ("different", 40),
    }


def test_each_side_may_be_read_as_of_one_moment(run: Run, tmp_path: Path) -> None:
    code, _, err = run("--table", "items", "--snapshot")
    assert code == 2
    assert "writers wait; set PRAGMA journal_mode = WAL" in " ".join(err.split())
    for side in ("source", "target"):
        execute(tmp_path, side, "PRAGMA journal_mode = WAL")
    code, out, _ = run("--table", "items", "--snapshot")
    assert code == 0
    assert "each side in one snapshot" in " ".join(out.split())


def test_a_page_shows_what_was_found(run: Run, tmp_path: Path) -> None:
    execute(tmp_path, "target", "UPDATE items SET name = 'a secret' WHERE id = 40")
    page = tmp_path / "check.html"
    assert run("--table", "items", "--html", str(page))[0] == 1
    html = page.read_text(encoding="utf-8")
    assert "Not clean." in html
    assert "<code>name</code>: text of 7 characters, text of 8 characters" in html
    assert "a secret" not in html


def test_the_other_table_may_have_another_name(run: Run, tmp_path: Path) -> None:
    execute(tmp_path, "target", "ALTER TABLE items RENAME TO articles")
    code, _, err = run("--table", "items")
    assert code == 2
    assert "the target has no table 'items'" in err
    assert run("--table", "items", "--target-table", "articles")[0] == 0


def test_a_column_of_one_side_alone_is_left_out_by_name_only(run: Run, tmp_path: Path) -> None:
    execute(tmp_path, "source", "ALTER TABLE items ADD COLUMN legacy TEXT")
    code, _, err = run("--table", "items")
    assert code == 2
    assert "--ignore legacy" in err
    assert run("--table", "items", "--ignore", "legacy")[0] == 0
    assert "neither side has a column 'lgacy'" in run("--table", "items", "--ignore", "lgacy")[2]


def test_keys_that_are_not_the_same_are_refused(run: Run, tmp_path: Path) -> None:
    execute(tmp_path, "target", "DROP TABLE items")
    execute(tmp_path, "target", "CREATE TABLE items (id INTEGER, name TEXT PRIMARY KEY)")
    code, _, err = run("--table", "items")
    assert code == 2
    assert "the key of table 'items' is (id) at the source and (name) at the target" in err


def test_a_file_that_is_not_there_is_an_error_and_is_not_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "target.db").unlink()
    code, _, err = run("--table", "items")
    assert code == 2
    assert "there is no database file" in err
    assert not (tmp_path / "target.db").exists()


def test_a_table_of_a_schema_is_compared_with_a_file(
    run: Run, tmp_path: Path, postgresql_database: Callable[[], str]
) -> None:
    server = postgresql_database()
    engine = open_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA shop")
        connection.exec_driver_sql("CREATE TABLE shop.items (id int PRIMARY KEY, name text)")
        connection.exec_driver_sql(
            "INSERT INTO shop.items SELECT i, 'name ' || i FROM generate_series(0, 49) AS i"
        )
    engine.dispose()
    result = check_databases(server, url(tmp_path, "target"), "shop.items", named="items")
    assert result.clean
    assert result.rows == 50


def test_what_a_check_needs_is_told(run: Run) -> None:
    assert "--table" in run()[2]
    assert "give it or --source" in run("items")[2]
    assert "--repair needs a phase" in run("--table", "items", "--repair")[2]


def test_a_statement_that_takes_too_long_is_no_verdict(postgresql_database: Callable[[], str]) -> None:
    engine = open_engine(postgresql_database())
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    slow = Column("id", "(SELECT id FROM pg_sleep(30))", None)
    with pytest.raises(CheckFailed, match=r"statement timeout.*--timeout"):
        run_check(engine, engine, [TableFlow("t", "t", ("id",), ("id",), (slow,))], manners=Manners(1.0, 1))
    engine.dispose()


def test_addresses_in_the_environment_do_not_stand_in_a_phases_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STRANGLER_SOURCE", url(tmp_path, "source"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["strangler", "check", "items"])
    with pytest.raises(SystemExit):
        main()
    assert "strangler.toml" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["strangler", "check", "items", "--source", "sqlite:///x.db"])
    with pytest.raises(SystemExit):
        main()
    assert "give it or --source" in capsys.readouterr().err


def test_the_plans_replicas_are_read_with_their_databases_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret")
    (tmp_path / "strangler.toml").write_text(
        """
        [monolith]
        url = "http://127.0.0.1:1"
        database = "postgresql://me@primary/shop"
        replica = "postgresql://me@standby/shop"
        database_password_file = "password"
        [[phases]]
        name = "orders"
        [phases.service]
        url = "http://127.0.0.1:2"
        database = "sqlite:///service.db"
        [[phases.tables]]
        monolith = "orders"
        """
    )
    with closing(Wiring.load(tmp_path / "strangler.toml")) as wiring:
        for to, snapshot in ((Side.SERVICE, False), (Side.MONOLITH, True)):
            with wiring.vantage("orders", to, snapshot=snapshot) as vantage:
                assert vantage.snapshot is snapshot
                read, other = vantage.source, vantage.target
                if to is Side.MONOLITH:
                    read, other = other, read
                assert other is None
                assert read is not None
                assert (read.url.host, read.url.password) == ("standby", "secret")
