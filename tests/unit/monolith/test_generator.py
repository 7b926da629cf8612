from typing import Any

import pytest

from monolith.generator import Sizes, generate
from monolith.models import Base, File, Resource, ResourceTag, SavedSearch, User

SIZES = Sizes(resources=400, users=5, saved_searches=100)


def rows(seed: int) -> dict[type[Base], list[dict[str, Any]]]:
    return {mapped: list(made) for mapped, made in generate(seed, SIZES)}


def test_the_same_seed_makes_the_same_rows_and_another_makes_others() -> None:
    assert rows(1) == rows(1)
    assert rows(1)[Resource] != rows(2)[Resource]


def test_every_table_has_rows_in_the_sizes_asked_for() -> None:
    made = rows(1)
    assert {mapped.__tablename__ for mapped in made} == set(Base.metadata.tables)
    assert all(made.values())
    assert [len(made[mapped]) for mapped in (Resource, User, SavedSearch)] == [400, 5, 100]


def test_references_point_at_rows_that_exist() -> None:
    made = rows(1)
    resources = {row["id"] for row in made[Resource]}
    assert {row["resource_id"] for row in (*made[File], *made[ResourceTag])} <= resources
    assert {row["user_id"] for row in made[SavedSearch]} <= {row["id"] for row in made[User]}


def test_the_rows_hold_what_makes_real_data_hard() -> None:
    made = rows(1)[Resource]
    assert any(row["body"] is None for row in made)
    assert any(row["deleted_at"] for row in made)
    assert any(not row["title"].isascii() for row in made)
    assert any(row["price"] is None for row in made)
    assert any(row["details"] == {} for row in made)
    assert any(row["details"] is None for row in made)


def test_somebody_must_own_the_rows() -> None:
    with pytest.raises(ValueError, match="at least one user"):
        Sizes(resources=1, users=0, saved_searches=0)
