"""The audit log is a chain: whatever is changed in it is noticed, and where."""

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import MetaData, insert, select, text

from migration import audit
from migration.cli import main
from migration.control import Control
from migration.schema.tables import audit as table
from migration.schema.upgrade import _config, upgrade
from migration.stages import Stage
from tests.integration.migration.worlds import write_plan


@pytest.fixture(params=["sqlite", "postgresql"])
def control(
    request: pytest.FixtureRequest, tmp_path: Path, postgresql_database: Callable[[], str]
) -> Iterator[Control]:
    url = f"sqlite:///{tmp_path / 'control.db'}" if request.param == "sqlite" else postgresql_database()
    opened = Control.open(url)
    yield opened
    opened.close()


def amend(control: Control, number: int) -> None:
    with control.change() as change:
        control.amend(change, "search", "someone", f"change {number}", epoch=number + 2, stage=Stage.SHADOW)


def verified(control: Control, head: str | None = None) -> audit.Verdict:
    with control.read() as connection:
        return audit.verify(connection, head)


def tamper(control: Control, statement: str) -> None:
    with control.write() as connection:
        connection.execute(text(statement))


def test_what_nobody_touched_is_whole(control: Control) -> None:
    assert verified(control) == audit.Verdict(0, audit.ORIGIN, None)
    for number in range(5):
        amend(control, number)
    verdict = verified(control)
    assert (verdict.entries, verdict.broken) == (5, None)
    amend(control, 5)
    assert verified(control, head=verdict.head).broken is None


def test_changes_made_at_once_make_one_chain(control: Control) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda number: amend(control, number), range(20)))
    assert verified(control).broken is None
    assert verified(control).entries == 20


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody' WHERE id = 3",
        "UPDATE audit SET at = at + 1 WHERE id = 3",
        "UPDATE audit SET after = '{\"epoch\": 9}' WHERE id = 3",
        "DELETE FROM audit WHERE id = 3",
        "UPDATE audit SET hash = 'x' WHERE id = 3",
    ],
)
def test_a_changed_or_missing_entry_breaks_it(control: Control, statement: str) -> None:
    for number in range(5):
        amend(control, number)
    tamper(control, statement)
    broken = verified(control)
    assert broken.entries == 2
    assert broken.broken is not None


def test_a_cut_end_is_noticed_by_who_noted_the_head(control: Control) -> None:
    for number in range(3):
        amend(control, number)
    head = verified(control).head
    tamper(control, "DELETE FROM audit WHERE id = 3")
    assert verified(control).broken is None
    assert "cut off" in (verified(control, head=head).broken or "")


def test_entries_of_an_older_database_are_chained_when_it_is_upgraded(control: Control) -> None:
    for number in range(3):
        amend(control, number)
    before = verified(control).head
    config = _config()
    with control.write() as connection:
        entries = connection.execute(select(table).order_by(table.c.id)).mappings().all()
        everything = MetaData()
        everything.reflect(connection)
        everything.drop_all(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for entry in entries:
            old = {name: value for name, value in entry.items() if name != "hash"}
            connection.execute(insert(table).values(old))
    with control.write() as connection:
        upgrade(connection, "here")
    assert verified(control) == audit.Verdict(3, before, None)


def test_the_command_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = write_plan(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["strangler", "audit", *arguments, "--plan", str(plan.file)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    control = Control.open(plan.control.database_url)
    amend(control, 1)
    amend(control, 2)
    code, told = run("verify", "--json")
    assert (code, json.loads(told)["entries"]) == (0, 2)
    code, told = run("list", "--json")
    assert [entry["what"] for entry in json.loads(told)] == ["change 2", "change 1"]
    tamper(control, "UPDATE audit SET what = 'nothing' WHERE id = 1")
    code, told = run("verify")
    assert code == 1
    assert "entry 1" in told
    control.close()
