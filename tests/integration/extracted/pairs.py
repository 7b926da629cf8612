"""A monolith and a search service side by side, and the plan's mapping between their databases as SQL."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import Engine, inspect, text

from monolith.auth.tokens import Tokens

SECRET = "a-secret-of-at-least-thirty-two-characters"

Copy = Callable[[Engine, Engine, str, str, dict[str, str]], None]


@dataclass(frozen=True)
class Pair:
    """Both apps with their databases; ``user`` owns some of the seeded saved searches."""

    monolith: FastAPI
    service: FastAPI
    monolith_engine: Engine
    service_engine: Engine
    copy: Copy
    tables: list[dict[str, Any]]
    user: int = 3

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {Tokens(SECRET).issue(self.user, datetime.now(UTC))}"}

    def forward(self) -> None:
        """Copy every table of the plan to the service."""
        for table in self.tables:
            expressions = {
                column: rule if isinstance(rule, str) else rule["sql"]
                for column, rule in table.get("columns", {}).items()
            }
            source = _columns(self.monolith_engine, table["monolith"]) - set(table.get("drop", ()))
            for column in _columns(self.service_engine, table["service"]) - set(expressions):
                assert column in source, f"{table['service']}.{column} is not mapped"
                expressions[column] = column
            self.copy(
                self.monolith_engine, self.service_engine, table["monolith"], table["service"], expressions
            )

    def backward(self) -> None:
        """Copy the moved table back over the monolith's, which must be empty."""
        (table,) = (table for table in self.tables if not table.get("follow"))
        renamed = {rule: column for column, rule in table["columns"].items() if isinstance(rule, str)}
        expressions = table["reverse"] | renamed
        same = _columns(self.monolith_engine, table["monolith"]) - set(expressions) - set(table["drop"])
        expressions |= {column: column for column in same}
        self.copy(self.service_engine, self.monolith_engine, table["service"], table["monolith"], expressions)

    def ask(self, method: str, path: str, **options: Any) -> tuple[httpx.Response, httpx.Response]:
        """Both answers to one request: the monolith's, then the service's."""
        return asyncio.run(self._ask(method, path, options))

    async def _ask(
        self, method: str, path: str, options: dict[str, Any]
    ) -> tuple[httpx.Response, httpx.Response]:
        answers = []
        for app in (self.monolith, self.service):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                answers.append(await client.request(method, path, **options))
        return answers[0], answers[1]


def _columns(engine: Engine, table: str) -> set[str]:
    return {column["name"] for column in inspect(engine).get_columns(table)}


def copy_sqlite(source: Engine, target: Engine, old: str, new: str, expressions: dict[str, str]) -> None:
    with target.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ATTACH DATABASE :path AS source"), {"path": source.url.database})
        connection.exec_driver_sql(
            f"INSERT INTO {new} ({', '.join(expressions)}) "
            f"SELECT {', '.join(expressions.values())} FROM source.{old}"
        )
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("DETACH DATABASE source")


def copy_postgresql(source: Engine, target: Engine, old: str, new: str, expressions: dict[str, str]) -> None:
    read = f"COPY (SELECT {', '.join(expressions.values())} FROM {old}) TO STDOUT"
    write = f"COPY {new} ({', '.join(expressions)}) FROM STDIN"
    with source.connect() as giving, target.begin() as taking:
        reader = cast("psycopg.Connection", giving.connection.driver_connection).cursor()
        writer = cast("psycopg.Connection", taking.connection.driver_connection).cursor()
        with reader.copy(read) as rows, writer.copy(write) as copied:
            for block in rows:
                copied.write(block)
