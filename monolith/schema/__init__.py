"""Alembic migrations of the monolith."""
