"""What a running monolith says about itself: its OpenAPI document, reduced to what a plan needs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from migration import plan_syntax
from migration.errors import InitError

_METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: its method, its path template, and what it is grouped by, if the document tells."""

    method: str
    path: str
    tag: str | None


@dataclass(frozen=True, slots=True)
class Api:
    """``url`` is where the monolith answers; ``routing_key`` what its authentication suggests, or None.

    ``unusable`` names the routes whose templates the facade cannot match.
    """

    url: str
    operations: tuple[Operation, ...]
    unusable: tuple[str, ...]
    routing_key: str | None


def fetch(url: str) -> Api:
    """Fetch and read the document at ``url``. Raises InitError saying what to check."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InitError(f"{url!r} is not an address. Write for example http://127.0.0.1:8000/openapi.json.")
    if parts.path in {"", "/"}:
        url = url.rstrip("/") + "/openapi.json"
    try:
        answer = httpx.get(url, timeout=10, follow_redirects=True)
    except httpx.HTTPError as error:
        raise InitError(
            f"{url} does not answer ({str(error) or type(error).__name__}). "
            "Start the monolith, or correct --openapi."
        ) from error
    if answer.status_code != 200:
        raise InitError(
            f"{url} answers {answer.status_code}. Give the address of its OpenAPI document with --openapi."
        )
    try:
        document = answer.json()
    except ValueError as error:
        raise InitError(
            f"{url} is not JSON. Give the document itself with --openapi, not its page."
        ) from error
    return read(document, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")


def read(document: Any, url: str) -> Api:
    """Read a decoded document. Raises InitError when it describes no routes."""
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict) or not paths:
        raise InitError(
            f"the document of {url} has no `paths`: it describes no routes. "
            "Give the address of an OpenAPI document (version 2 or 3) with --openapi."
        )
    operations: dict[tuple[str, str], Operation] = {}
    unusable: list[str] = []
    for operation in _operations(paths, _base_path(document)):
        try:
            plan_syntax.template(operation.path)
        except ValueError:
            unusable.append(f"{operation.method} {operation.path}")
            continue
        operations.setdefault((operation.method, plan_syntax.shape(operation.path)), operation)
    return Api(url, tuple(operations.values()), tuple(unusable), _routing_key(document))


def _operations(paths: Mapping[str, Any], base: str) -> Iterator[Operation]:
    for path, item in paths.items():
        template = re.sub(r"\{([^{}:]*)", lambda found: "{" + _NOT_IN_NAMES.sub("_", found[1]), base + path)
        for method in _METHODS:
            described = item.get(method) if isinstance(item, dict) else None
            if isinstance(described, dict):
                tags = described.get("tags")
                tag = tags[0] if isinstance(tags, list) and tags and isinstance(tags[0], str) else None
                yield Operation(method.upper(), template, tag)


def _base_path(document: Mapping[str, Any]) -> str:
    """The path that stands before every path of the document (OpenAPI's servers, Swagger's basePath)."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    base = first.get("url") if isinstance(first, dict) else document.get("basePath")
    return urlsplit(base).path.rstrip("/") if isinstance(base, str) and "{" not in base else ""


def _routing_key(document: Mapping[str, Any]) -> str | None:
    """Whoever authenticates a request is whom a split should be sticky to."""
    components = document.get("components")
    schemes = components.get("securitySchemes") if isinstance(components, dict) else None
    if schemes is None:
        schemes = document.get("securityDefinitions")
    for scheme in schemes.values() if isinstance(schemes, dict) else ():
        match scheme:
            case {"type": "http", "scheme": str(kind)} if kind.lower() == "bearer":
                return "jwt:sub"
            case {"type": "oauth2" | "openIdConnect"}:
                return "jwt:sub"
            case {"type": "http" | "basic"}:
                return "header:Authorization"
            case {"type": "apiKey", "in": "header" | "cookie" | "query" as place, "name": str(name)} if name:
                return f"{place}:{name}"
            case _:
                continue
    return None
