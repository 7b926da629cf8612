import pytest

from migration.init_grouping import group
from migration.init_openapi import Operation
from migration.init_tables import FoundTable


def table(name: str) -> FoundTable:
    return FoundTable(name, has_key=True, references=())


@pytest.mark.parametrize(
    ("path", "tag", "name"),
    [
        ("/items/{id}", None, "items"),
        ("/api/v1/items", None, "items"),
        ("/items", "Stock & Prices", "stock-prices"),
        ("/2024/x", None, "phase-2024"),
        ("/{id}", None, "root"),
        ("/x", "✓", "phase"),
    ],
)
def test_a_route_is_grouped_by_its_tag_or_else_its_first_segment(
    path: str, tag: str | None, name: str
) -> None:
    ((found,), _) = group([Operation("GET", path, tag)], [])
    assert found.name == name


@pytest.mark.parametrize(
    "name", ["items", "item", "Item", "item_tags", "itemTags", "items_history", "saved_items"]
)
def test_a_table_goes_where_its_name_fits(name: str) -> None:
    groups, unassigned = group(
        [Operation("GET", "/users", None), Operation("GET", "/items", None)], [table(name)]
    )
    assert [[each.name for each in found.tables] for found in groups] == [[], [name]]
    assert unassigned == ()


def test_an_exact_name_wins_over_a_shared_word() -> None:
    operations = [Operation("GET", "/user/sessions", "user"), Operation("GET", "/sessions", "sessions")]
    groups, _ = group(operations, [table("sessions"), table("user_sessions")])
    assert [[each.name for each in found.tables] for found in groups] == [["user_sessions"], ["sessions"]]


def test_a_table_is_found_by_the_paths_of_a_tagged_group() -> None:
    groups, _ = group([Operation("GET", "/categories/{id}", "catalogue")], [table("category_names")])
    assert [each.name for each in groups[0].tables] == ["category_names"]


def test_what_fits_nowhere_is_told() -> None:
    groups, unassigned = group([Operation("GET", "/items", None)], [table("audit_log")])
    assert groups[0].tables == ()
    assert unassigned == (table("audit_log"),)
