"""The control database: versions, revisions, and what happens when it is taken away."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError

from facade.routes import RouteTable
from flags.percent import Precision
from flags.side import Side
from flags.store import EmbeddedStore
from flags.tables import metadata as flags_metadata
from migration.control import Control
from migration.errors import ControlError
from migration.schema import observed, tables
from migration.schema.tables import audit, metadata
from migration.schema.upgrade import NEWEST, VERSION_TABLE
from migration.stages import PhaseRecord, Stage
from migration.workers import ControlSnapshots


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "control.db"


@pytest.fixture
def control(file: Path):
    opened = Control.open(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture
def attached(file: Path, control: Control):
    worker = Control.attach(f"sqlite:///{file}")
    yield worker
    worker.close()


def snapshots(control: Control) -> ControlSnapshots:
    return ControlSnapshots(control, RouteTable.compile([]), ["search"], Precision.PERCENT)


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
    )
    return compare_metadata(context, [flags_metadata, metadata, observed.metadata])


def test_the_versions_lead_to_the_tables_that_the_code_uses(control: Control) -> None:
    with control.write() as connection:
        assert differences(connection) == []


def test_the_newest_version_is_the_one_that_all_versions_lead_to() -> None:
    assert ScriptDirectory(str(Path(tables.__file__).parent)).get_heads() == [NEWEST]


def test_the_same_on_postgresql(postgresql_database: Callable[[], str]) -> None:
    url = postgresql_database()
    opened = Control.open(url)
    again = Control.open(url)
    try:
        with opened.write() as connection:
            assert differences(connection) == []
        with opened.change() as change:
            opened.amend(change, "search", "tester", "test", stage=Stage.SHADOW)
        assert (again.revision(), again.phase("search").stage) == (1, Stage.SHADOW)
        source = snapshots(again)
        assert source.revision() == source.load().revision == 1
        source.close()
    finally:
        opened.close()
        again.close()


def test_opening_again_changes_nothing(control: Control, file: Path) -> None:
    with control.change() as change:
        control.amend(change, "search", "tester", "test", stage=Stage.SHADOW)
    again = Control.open(f"sqlite:///{file}")
    assert again.phases() == control.phases()
    again.close()


def test_a_newer_database_is_refused(control: Control, file: Path) -> None:
    with control.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(ControlError, match="newer strangler"):
        Control.open(f"sqlite:///{file}")


def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(ControlError, match="cannot be opened") as caught:
        Control.open("postgresql://me:hunter2@127.0.0.1:1/control")
    assert "hunter2" not in str(caught.value)


def test_every_visible_change_raises_the_revision_once_and_is_audited(control: Control) -> None:
    with control.change() as change:
        record = control.amend(change, "search", "ann", "to shadow", stage=Stage.SHADOW, epoch=2)
        assert change.revision == 1
    assert control.revision() == 1
    assert (record.stage, record.epoch, record.writer) == (Stage.SHADOW, 2, Side.MONOLITH)
    with control.read() as connection:
        [row] = connection.execute(select(audit)).all()
    assert (row.who, row.what) == ("ann", "to shadow")
    assert (row.before["stage"], row.after["stage"]) == ("off", "shadow")
    assert "writer" not in row.after


def test_a_failed_change_leaves_the_revision(control: Control) -> None:
    def fail() -> None:
        with control.change() as change:
            control.amend(change, "search", "ann", "to shadow", stage=Stage.SHADOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (control.revision(), control.phases()) == (0, {})


def test_shadow_evidence_counts_from_entering_shadow_but_not_anew_in_the_ramp(control: Control) -> None:
    def go(stage: Stage) -> PhaseRecord:
        with control.change() as change:
            return control.amend(change, "search", "ann", "go", stage=stage)

    entered = go(Stage.SHADOW)
    assert entered.evidence_since == entered.stage_since > 0
    ramped = go(Stage.RAMP)
    assert ramped.evidence_since == entered.evidence_since
    assert go(Stage.SHADOW).evidence_since == entered.evidence_since
    go(Stage.DUAL_WRITE)
    assert go(Stage.SHADOW).evidence_since > entered.evidence_since


def test_snapshots_follow_phases_and_flags(control: Control, attached: Control) -> None:
    source = snapshots(attached)
    assert source.revision() == 0
    assert source.load().phases["search"].stage == "off"
    with control.change() as change:
        control.amend(change, "search", "ann", "go", stage=Stage.RAMP)
        EmbeddedStore(control.engine).set_share("search.reads", 5000, "ann", within=change.connection)
    found = source.load()
    assert source.revision() == found.revision == found.flags.revision
    assert (found.phases["search"].stage, found.flags.share("search.reads")) == ("ramp", 5000)
    source.close()


def test_i6_a_deleted_control_database_raises_and_is_not_made_anew(attached: Control, file: Path) -> None:
    source = snapshots(attached)
    source.revision()
    file.unlink()
    for _ in range(2):
        with pytest.raises(OperationalError, match="unable to open"):
            source.revision()
        with pytest.raises(OperationalError, match="unable to open"):
            source.load()
    assert not file.exists()
    source.close()


def test_i6_another_control_database_in_its_place_is_not_followed(attached: Control, file: Path) -> None:
    source = snapshots(attached)
    source.revision()
    file.unlink()
    other = Control.open(f"sqlite:///{file}")
    with pytest.raises(ControlError, match="another control database took the place"):
        source.revision()
    other.close()
    source.close()


def test_a_restored_control_database_is_followed_again(
    control: Control, attached: Control, file: Path
) -> None:
    source = snapshots(attached)
    with control.change() as change:
        control.amend(change, "search", "ann", "go", stage=Stage.RAMP)
    assert source.revision() == 1
    control.close()
    backup = file.with_suffix(".bak")
    attached.engine.dispose()
    source.close()
    shutil.copy(file, backup)
    source.revision()
    file.unlink()
    with pytest.raises(OperationalError):
        source.revision()
    shutil.copy(backup, file)
    assert source.load().phases["search"].stage == "ramp"
    source.close()


def test_a_worker_may_start_before_the_control_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'later.db'}"
    early = Control.attach(url)
    source = snapshots(early)
    with pytest.raises(OperationalError):
        source.revision()
    later = Control.open(url)
    assert source.revision() == 0
    source.close()
    early.close()
    later.close()
