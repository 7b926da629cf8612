"""Alembic migrations of the search service."""
