"""Under which name a mirrored request is counted: its route, or where one route has many faces, a part of it.

A route that opted in is told apart by a field of the request, such as the operation of a GraphQL endpoint.
A route that takes the rest of the path (``/files/{name:path}``) is told apart by templates that are found in
the paths themselves: segments that look like ids become parameters, and so do those of which there are too
many.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facade.config import ShadowRules
from facade.paths import segments
from facade.redact import redact_text
from facade.routes import Match

if TYPE_CHECKING:
    from facade.exchange import Exchange

MOST_CHILDREN = 24
"""Different texts in one place of a path before they are taken for a parameter."""
MOST_GROUPS = 200
"""Groups of one route; what comes later is counted together."""
_DEEPEST = 10
_LONGEST = 60
_OTHER = "…"

_PARAMETERS = (
    ("{uuid}", re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")),
    ("{id}", re.compile(r"[+-]?\d+(?:[.,]\d+)?")),
    ("{date}", re.compile(r"\d{4}-\d\d(?:-\d\d(?:[T_ ].*)?)?")),
    ("{hash}", re.compile(r"(?=.*\d)[0-9a-fA-F]{8,}")),
    ("{token}", re.compile(r"(?=(?:.*\d){3})[\w=.~+-]{16,}")),
    ("{text}", re.compile(r".*[@\s%].*|.{61,}", re.DOTALL)),
)


@dataclass(slots=True)
class _Node:
    """A place in the paths of a route. ``folded``: it had too many children, so it is a parameter."""

    children: dict[str, "_Node"] = field(default_factory=dict)
    folded: bool = False


class Templates:
    """The templates of one route's paths, learned as they come. Memory is bounded by MOST_GROUPS."""

    def __init__(self) -> None:
        self._root = _Node()
        self._known: set[str] = set()

    def of(self, path: list[str]) -> str:
        """The template of a path, given by its decoded segments."""
        node, parts = self._root, []
        for segment in path[:_DEEPEST]:
            part = _parameter(segment)
            if part not in node.children:
                if not part.startswith("{") and not node.folded:
                    node.folded = len(node.children) >= MOST_CHILDREN
                if node.folded and not part.startswith("{"):
                    part = "{name}"
                if len(self._known) >= MOST_GROUPS:
                    return _OTHER
            node = node.children.setdefault(part, _Node())
            parts.append(part)
        template = "/" + "/".join(parts) + ("/" + _OTHER if len(path) > _DEEPEST else "")
        if template not in self._known and len(self._known) >= MOST_GROUPS:
            return _OTHER
        self._known.add(template)
        return template


class Groups:
    """The names under which one phase's mirrored requests are counted."""

    def __init__(self, chosen: ShadowRules) -> None:
        self._chosen = chosen
        self._templates: dict[str, Templates] = {}
        self._values: dict[str, set[str]] = {}

    def of(self, exchange: "Exchange", match: Match, body: bytes | None) -> str:
        """The group of a request with this body."""
        route = match.route.name or match.route.path
        by = self._chosen.group_by.get(route)
        if by is not None:
            value = by.extract(exchange.fields, exchange.target, match.parameters, body)
            return f"{route} {self._value(route, value)}"
        if ":path}" in match.route.path:
            templates = self._templates.setdefault(route, Templates())
            return f"{exchange.method.decode('latin-1')} {templates.of(segments(exchange.target))}"
        return route

    def _value(self, route: str, value: str | None) -> str:
        known = self._values.setdefault(route, set())
        short = redact_text(value)[:_LONGEST] if value else "(none)"
        if short not in known and len(known) >= MOST_GROUPS:
            return _OTHER
        known.add(short)
        return short


def _parameter(segment: str) -> str:
    for name, looks in _PARAMETERS:
        if looks.fullmatch(segment):
            return name
    return "{token}" if redact_text(segment) != segment else segment
