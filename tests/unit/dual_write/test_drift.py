from dual_write.drift import Drift, Shapes, drift
from dual_write.mapping import Column, TableFlow
from flags.side import Side

FLOW = TableFlow(
    "items",
    "goods",
    ("id",),
    ("id",),
    (Column("id", '"id"', "id"), Column("label", '"name"', "name"), Column("upper", "upper(name)", None)),
)
COLUMNS = {"id": "id", "label": "name"}
SOURCE = {"id": "integer", "name": "text"}
TARGET = {"id": "integer", "label": "text", "upper": "text"}
BEFORE = Shapes(SOURCE, TARGET, COLUMNS)


def told(source: dict[str, str], target: dict[str, str], *, one_engine: bool = True) -> list[Drift]:
    return drift(FLOW, Side.SERVICE, BEFORE, Shapes(source, target, COLUMNS), one_engine=one_engine)


def test_nothing_changed() -> None:
    assert told(SOURCE, TARGET) == []


def test_columns_that_nothing_depends_on() -> None:
    assert told(SOURCE, {**TARGET, "more": "text"}) == []
    [new] = told({**SOURCE, "more": "text"}, TARGET)
    assert (new.table, new.blocks) == ("items", False)


def test_a_lost_column_blocks_and_its_new_name_is_guessed() -> None:
    [lost] = told({"id": "integer", "title": "text"}, TARGET)
    assert lost.blocks
    assert "'name' (renamed to 'title'?)" in lost.text
    [gone] = told(SOURCE, {"id": "integer", "upper": "text"})
    assert "the service's table 'goods' has lost its column 'label'," in gone.text


def test_types_block_unless_both_sides_have_the_same() -> None:
    [retyped] = told({**SOURCE, "id": "bigint"}, TARGET)
    assert "column 'id' of the monolith's table 'items' was integer and is bigint now" in retyped.text
    assert told({**SOURCE, "id": "bigint"}, {**TARGET, "id": "bigint"}) == []
    assert len(told({**SOURCE, "id": "bigint"}, {**TARGET, "id": "bigint"}, one_engine=False)) == 2


def test_a_table_that_is_gone_says_so_and_no_more() -> None:
    [gone] = told({}, TARGET)
    assert "table 'items' is gone" in gone.text
