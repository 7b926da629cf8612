import pytest

from dual_write.outbox_text import tables_written


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM items", set()),
        ("SELECT 'UPDATE items', \"delete from\" FROM t -- DELETE FROM t", set()),
        ("SELECT * FROM items FOR UPDATE OF items", set()),
        ("SELECT * FROM items FOR NO KEY UPDATE", set()),
        ("insert into Items (a) values (1)", {("", "items")}),
        ('INSERT OR IGNORE INTO "Items" VALUES (1)', {("", "Items")}),
        ("REPLACE INTO items VALUES (1)", {("", "items")}),
        ("update only shop.items set a = 1", {("shop", "items")}),
        ('UPDATE "Shop" . "It""em" SET a = 1', {("Shop", 'It"em')}),
        ("UPDATE OR REPLACE items SET a = 1", {("", "items")}),
        ("DELETE /* all */ FROM items", {("", "items")}),
        ("TRUNCATE TABLE a, shop.b CASCADE", {("", "a"), ("shop", "b")}),
        ("COPY items FROM STDIN", {("", "items")}),
        ("MERGE INTO items USING x ON true WHEN MATCHED THEN DELETE", {("", "items")}),
        ("WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone", {("", "a"), ("", "b")}),
        ("DO $x$ BEGIN UPDATE items SET a = 1; END $x$", {("", "items")}),
        ("CREATE FUNCTION f() RETURNS void AS $x$ UPDATE items SET a = 1 $x$ LANGUAGE sql", set()),
    ],
)
def test_tables_written(sql: str, tables: set[tuple[str, str]]) -> None:
    assert tables_written(sql) == tables
