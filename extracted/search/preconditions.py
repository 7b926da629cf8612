"""Conditional requests: entity tags and the headers that compare them (RFC 9110, section 13)."""

from typing import Annotated

from fastapi import Header, HTTPException, Response

IfMatch = Annotated[str | None, Header()]
IfNoneMatch = Annotated[str | None, Header()]


def entity_tag(row: int, version: int) -> str:
    """The strong entity tag of a row's version."""
    return f'"{row}.{version}"'


def require_match(condition: str | None, tag: str) -> None:
    """Raise 412 when ``If-Match`` was sent and names other versions only."""
    if condition is not None and not _lists(condition, tag, weak=False):
        raise HTTPException(412, "The entity has changed")


def not_modified(condition: str | None, tag: str) -> Response | None:
    """A 304 when ``If-None-Match`` names this version, else None."""
    if condition is not None and _lists(condition, tag, weak=True):
        return Response(status_code=304, headers={"ETag": tag})
    return None


def _lists(condition: str, tag: str, *, weak: bool) -> bool:
    if condition.strip() == "*":
        return True
    named = (entry.strip() for entry in condition.split(","))
    return any((entry.removeprefix("W/") if weak else entry) == tag for entry in named)
