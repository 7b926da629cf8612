"""The reference plan's mapping, run by the databases themselves."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from extracted.search.models import Base
from tests.integration.extracted.pairs import Pair


def moved_rows(engine: Engine) -> list[tuple[object, ...]]:
    columns = "id, user_id, name, query, CAST(filters AS TEXT), threshold, notify, note, client_ref, version"
    with engine.connect() as connection:
        rows = connection.execute(
            text(f"SELECT {columns}, created_at, updated_at FROM saved_searches ORDER BY id")
        )
        return [tuple(row) for row in rows]


def test_saved_searches_come_back_as_they_went(pair: Pair) -> None:
    before = moved_rows(pair.monolith_engine)
    with pair.monolith_engine.begin() as connection:
        connection.execute(text("DELETE FROM saved_searches"))
    pair.backward()
    assert before
    assert moved_rows(pair.monolith_engine) == before


def test_every_document_is_an_exact_image(pair: Pair) -> None:
    with pair.monolith_engine.connect() as old, pair.service_engine.connect() as new:
        prices = old.execute(text("SELECT id, price FROM resources ORDER BY id")).all()
        cents = new.execute(text("SELECT resource_id, price_cents FROM documents ORDER BY resource_id")).all()
    assert cents == [(row, None if price is None else round(float(price) * 100)) for row, price in prices]


def test_the_migrations_build_what_the_models_describe(pair: Pair) -> None:
    with pair.service_engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
