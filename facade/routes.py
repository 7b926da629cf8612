"""Which route a request belongs to: a compiled table of methods and FastAPI-style path templates.

Matching walks a tree of path segments (see `facade.paths` for the normalisation). A literal segment is
preferred to a parameter, a parameter to the rest of the path (``{name:path}``), and an exact method to
``*``; among equals the route given first wins. HEAD matches GET.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from facade.aggregate import Aggregate
from facade.errors import RouteError
from facade.headers import Refused
from facade.paths import is_plain, raw_path, readings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_METHODS = (*SAFE_METHODS, "POST", "PUT", "PATCH", "DELETE")
"""Those that are looked up; a route for all methods takes others too, as writes."""
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
_PLACEHOLDER = re.compile(r"{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?}")
_CONVERTERS = {
    "str": r"[^/]+",
    "int": r"[0-9]+",
    "float": r"[0-9]+(?:\.[0-9]+)?",
    "uuid": r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
    "path": r".*",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the plan.

    ``method`` is a method in capitals or ``*``; ``path`` a template such as ``/items/{id}`` or
    ``/files/{name:path}``. Without a ``kind`` the request's method decides: safe methods read, all others
    write. A ``retired`` route is not carried over to the service. One of no phase with an ``aggregate`` is
    answered by the parts that it names.
    """

    method: str
    path: str
    phase: str | None
    kind: Literal["read", "write"] | None = None
    retired: bool = False
    name: str = ""
    aggregate: Aggregate | None = None

    def writes(self, method: str) -> bool:
        """Whether a request with this method counts as a write."""
        return method not in SAFE_METHODS if self.kind is None else self.kind == "write"


@dataclass(slots=True)  # one is made for most requests: to freeze it would take as long as to find it
class Match:
    """A route and what its template took from the path. ``write`` is the route's kind for this method."""

    route: Route
    parameters: Mapping[str, str]
    write: bool


class _Way(NamedTuple):
    """A route as one method reaches it, with the names of its parameters; ``match`` if there are none."""

    route: Route
    names: tuple[str, ...]
    write: bool
    match: Match | None


@dataclass(slots=True)
class _Leaf:
    """The routes of one template: ``ways`` by method, and by ``other`` what no method is named for."""

    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)
    ways: dict[bytes, _Way] = field(default_factory=dict)
    other: _Way | None = None

    def add(self, route: Route, names: tuple[str, ...]) -> None:
        self.routes.setdefault(route.method, (route, names))
        every = ((method, self._way(method)) for method in (*_METHODS, *self.routes))
        self.ways = {method.encode(): way for method, way in every if way is not None}
        self.other = self._way("*")

    def match(self, method: bytes, values: tuple[str, ...]) -> Match | None:
        way = self.ways.get(method, self.other)
        if way is None:
            return None
        route, names, write, match = way
        if match is not None:
            return match
        if len(names) == 1:  # most often so, and quicker
            return Match(route, {names[0]: values[0]}, write)
        return Match(route, dict(zip(names, values, strict=True)), write)

    def _way(self, method: str) -> _Way | None:
        routes = self.routes
        found = routes.get(method) or (routes.get("GET") if method == "HEAD" else None) or routes.get("*")
        if found is None:
            return None
        route, names = found
        write = route.writes(method)
        return _Way(route, names, write, None if names else Match(route, _NO_PARAMETERS, write))


@dataclass(slots=True)
class _Node:
    """The templates that share a beginning. A pattern of None takes any segment; ``tails`` are those that go
    on with a ``{name:path}``."""

    leaf: _Leaf = field(default_factory=_Leaf)
    literals: dict[str, "_Node"] = field(default_factory=dict)
    patterns: list[tuple[re.Pattern[str] | None, "_Node"]] = field(default_factory=list)
    tails: list[tuple[re.Pattern[str], _Leaf]] = field(default_factory=list)

    def child(self, segment: str, pattern: str) -> "_Node":
        if "{" not in segment:
            return self.literals.setdefault(segment, _Node())
        compiled = None if pattern == _WHOLE else re.compile(pattern)
        for known, node in self.patterns:
            if known == compiled:
                return node
        node = _Node()
        self.patterns.append((compiled, node))
        # A pattern with more literal text is the more specific one; the sort is stable.
        self.patterns.sort(key=lambda each: each[0] is None)
        return node

    def tail(self, pattern: str) -> _Leaf:
        for known, leaf in self.tails:
            if known.pattern == pattern:
                return leaf
        leaf = _Leaf()
        self.tails.append((re.compile(pattern, re.DOTALL), leaf))
        return leaf

    def match(self, parts: list[str], at: int, method: bytes, values: tuple[str, ...]) -> Match | None:
        node, most = self, len(parts)
        while at < most:
            if node.patterns or node.tails:
                return node.choose(parts, at, method, values)
            child = node.literals.get(parts[at])
            if child is None:
                return None
            node = child
            at += 1
        found = node.leaf.match(method, values)
        return node._match_tail(parts, at, method, values) if found is None and node.tails else found

    def choose(self, parts: list[str], at: int, method: bytes, values: tuple[str, ...]) -> Match | None:
        """Where there is more than one way: what is more specific comes first, and is taken back."""
        part = parts[at]
        node = self.literals.get(part)
        if node is not None:
            found = node.match(parts, at + 1, method, values)
            if found is not None:
                return found
        for pattern, child in self.patterns:
            if pattern is None:
                taken: tuple[str, ...] = (part,) if part else ()
            else:
                whole = pattern.fullmatch(part)
                taken = whole.groups() if whole is not None else ()
            if taken:
                found = child.match(parts, at + 1, method, values + taken)
                if found is not None:
                    return found
        return self._match_tail(parts, at, method, values) if self.tails else None

    def _match_tail(self, parts: list[str], at: int, method: bytes, values: tuple[str, ...]) -> Match | None:
        rest = "/".join(parts[at:])
        for pattern, leaf in self.tails:
            taken = pattern.fullmatch(rest)
            if taken is not None:
                found = leaf.match(method, values + taken.groups())
                if found is not None:
                    return found
        return None


class RouteTable:
    """An immutable set of routes, compiled for matching."""

    __slots__ = ("_root", "_stems", "routes")

    def __init__(self, routes: tuple[Route, ...], root: _Node) -> None:
        self.routes = routes
        self._root = root
        self._stems = dict(_stems(root, ""))

    @classmethod
    def compile(cls, routes: Iterable[Route]) -> "RouteTable":
        """Compile routes in order of preference. Raises RouteError for a template it cannot read."""
        given = tuple(routes)
        root = _Node()
        for route in given:
            _insert(root, route)
        return cls(given, root)

    def match(self, method: bytes, target: bytes) -> Match | None:
        """The route of a request with this raw target, or None when no route claims it. Raises Refused for a
        path that belongs to different routes, depending on how a server reads it."""
        path = raw_path(target)
        stem, slash, last = path.rpartition(b"/")
        node = self._stems.get(stem)
        if node is not None and (last.isalnum() or is_plain(slash + last)):
            return node.choose([last.decode("ascii")], 0, method, ())
        match = None
        for parts in readings(path):
            found = self._root.match(parts, 0, method, ())
            if found is None:
                continue
            if match is None:
                match = found
            elif found.route is not match.route:
                raise Refused(400, "servers understand its path in different ways")
        return match


def _stems(node: _Node, path: str) -> Iterator[tuple[bytes, _Node]]:
    """The nodes that are reached by plain literal segments alone, with nothing else on the way to choose."""
    if path:
        yield path.encode("ascii"), node
    if not node.patterns and not node.tails:
        for segment, child in node.literals.items():
            below = f"{path}/{segment}"
            if is_plain(below.encode("utf-8", "surrogatepass")):
                yield from _stems(child, below)


def _insert(root: _Node, route: Route) -> None:
    if not route.path.startswith("/"):
        raise RouteError(
            f"the path {route.path!r} of a route must start with a slash, as in '/items/{{id}}'."
        )
    parts = [part for part in route.path.split("/") if part]
    names: tuple[str, ...] = ()
    node = root
    for index, part in enumerate(parts):
        pattern, found, tail = _compile_segment(part, route.path)
        names += found
        if tail:
            rest = "/".join(_compile_segment(each, route.path)[0] for each in parts[index:])
            names += tuple(
                name for each in parts[index + 1 :] for name in _compile_segment(each, route.path)[1]
            )
            node.tail(rest).add(route, _distinct(names, route.path))
            return
        node = node.child(part, pattern)
    node.leaf.add(route, _distinct(names, route.path))


def _compile_segment(segment: str, path: str) -> tuple[str, tuple[str, ...], bool]:
    """The expression of a template's segment, its parameters, and whether one of them spans slashes."""
    expression, names, tail, at = "", [], False, 0
    for placeholder in _PLACEHOLDER.finditer(segment):
        name, converter = placeholder[1], placeholder[2] or "str"
        if converter not in _CONVERTERS:
            raise RouteError(
                f"the path {path!r} uses the converter {converter!r}. Use one of: {', '.join(_CONVERTERS)}."
            )
        expression += _literal(segment[at : placeholder.start()], path) + f"({_CONVERTERS[converter]})"
        names.append(name)
        tail = tail or converter == "path"
        at = placeholder.end()
    return expression + _literal(segment[at:], path), tuple(names), tail


def _literal(text: str, path: str) -> str:
    if "{" in text or "}" in text:
        raise RouteError(
            f"the path {path!r} has braces that are no parameter. Write parameters as '{{name}}'."
        )
    return re.escape(text)


def _distinct(names: tuple[str, ...], path: str) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise RouteError(f"the path {path!r} uses a parameter name twice. Give each its own name.")
    return names


_WHOLE = f"({_CONVERTERS['str']})"
