"""Starting a plan: ``strangler.toml`` written from a running monolith's OpenAPI and tables."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import URL

from dual_write.database import normalised
from migration import init_openapi, init_tables, plan_syntax
from migration.errors import InitError
from migration.init_grouping import Group, group
from migration.init_openapi import Api
from migration.init_tables import FoundTable

_LISTEN, _ADMIN, _FIRST_SERVICE = 8080, 8081, 8001


@dataclass(frozen=True, slots=True)
class Started:
    """What was written: the file, the phases guessed, and the tables that fit none of them."""

    file: Path
    groups: tuple[Group, ...]
    unassigned: tuple[FoundTable, ...]


def write_plan(openapi_url: str, database_url: str, out: Path, *, force: bool = False) -> Started:
    """Write a valid plan to ``out``. A password in ``database_url`` is used, but not written.

    Raises InitError when the monolith or its database does not answer, or ``out`` exists without ``force``.
    """
    if out.exists() and not force:
        raise InitError(
            f"{out} is there already. Give another file with --plan, or overwrite it with --force."
        )
    api = init_openapi.fetch(openapi_url)
    tables = init_tables.reflect(database_url)
    groups, unassigned = group(api.operations, tables)
    text = render(api, normalised(database_url), groups, unassigned, out.absolute().parent)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InitError(
            f"{out} cannot be written: {error.strerror}. Give another file with --plan."
        ) from error
    return Started(out, groups, unassigned)


def render(
    api: Api, database: URL, groups: Sequence[Group], unassigned: Sequence[FoundTable], directory: Path
) -> str:
    """The plan's text, for a plan in ``directory``."""
    environment = Environment(  # noqa: S701 - TOML, which the filter below escapes for, not HTML
        loader=PackageLoader("migration", "starter"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["toml"] = _toml
    taken = {int(api.url.rpartition(":")[2])} if api.url.rpartition(":")[2].isdigit() else set()
    listen, admin = _free_ports(_LISTEN, 2, taken)
    ports = _free_ports(_FIRST_SERVICE, len(groups), taken | {listen, admin})
    return environment.get_template("strangler.toml.j2").render(
        monolith={
            "url": plan_syntax.origin(api.url),
            "database": _without_secrets(database, directory),
            "has_password": database.password is not None
            or bool(plan_syntax.SECRETS_IN_QUERY & database.query.keys()),
        },
        listen=f"127.0.0.1:{listen}",
        admin=f"127.0.0.1:{admin}",
        ports=ports,
        groups=groups,
        unassigned=unassigned,
        unusable=api.unusable,
        routing_key=api.routing_key,
        explained=next((table.name for each in groups for table in each.tables if table.has_key), None),
        own={each.name: {table.name for table in each.tables} for each in groups},
        homes={table.name: each.name for each in groups for table in each.tables},
    )


def _toml(text: str) -> str:
    """A TOML string on one line; JSON's differ from them in nothing that can occur, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _free_ports(first: int, count: int, taken: set[int]) -> list[int]:
    return [port for port in range(first, first + count + len(taken)) if port not in taken][:count]


def _without_secrets(url: URL, directory: Path) -> str:
    """The URL as a plan in ``directory`` may hold it."""
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "").absolute()
        place = file.relative_to(directory) if file.is_relative_to(directory) else file
        return f"sqlite:///{place}"
    query = {name: value for name, value in url.query.items() if name not in plan_syntax.SECRETS_IN_QUERY}
    bare = url.set(drivername="postgresql", query=query)
    return URL.create(
        bare.drivername, bare.username, None, bare.host, bare.port, bare.database, bare.query
    ).render_as_string()
