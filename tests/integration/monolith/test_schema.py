from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, insert, select

from monolith.database import open_engine, upgrade
from monolith.generator import Sizes
from monolith.models import Base, SavedSearch
from monolith.seed import SeedError, fill

SIZES = Sizes(resources=200, users=4, saved_searches=30)


def test_the_migrations_build_what_the_models_describe(database_url: str) -> None:
    upgrade(database_url)
    upgrade(database_url)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_seeding_fills_once_and_leaves_the_sequences_past_its_ids(database_url: str) -> None:
    inserted = fill(database_url, 1, SIZES)
    engine = open_engine(database_url)
    with engine.begin() as connection:
        counts = [
            connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        ]
        connection.execute(insert(SavedSearch), _saved())
        newest = connection.scalar(select(func.max(SavedSearch.id)))
    engine.dispose()
    assert sum(counts) == inserted
    assert newest == SIZES.saved_searches + 1
    with pytest.raises(SeedError, match="empty one"):
        fill(database_url, 1, SIZES)


def test_ids_are_never_given_out_twice(database_url: str) -> None:
    fill(database_url, 1, SIZES)
    engine = open_engine(database_url)
    with engine.begin() as connection:
        first = connection.scalar(insert(SavedSearch).returning(SavedSearch.id), _saved())
        connection.execute(delete(SavedSearch).where(SavedSearch.id == first))
        second = connection.scalar(insert(SavedSearch).returning(SavedSearch.id), _saved())
    engine.dispose()
    assert first is not None
    assert second is not None
    assert second > first


def _saved() -> dict[str, object]:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    return {
        "user_id": 1,
        "name": "n",
        "query": "q",
        "notify": True,
        "version": 1,
        "created_at": at,
        "updated_at": at,
    }
