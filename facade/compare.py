"""Whether two answers to one request mean the same. Pure: no I/O, no clock.

``status`` comes first: when it differs, nothing else is compared, for the answers are then about different
things. Chosen headers are compared by meaning (`facade.compare_headers`), JSON bodies by path and kind of
difference (`facade.compare_json`), all other bodies by digest. Every text in a Difference is redacted.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from facade.compare_decode import NotJsonError, decode
from facade.compare_headers import Headers, compare_header, is_json, values_of
from facade.compare_json import Watch, compare_json
from facade.compare_location import Asked
from facade.compare_rules import Place, Rule, RuleKind, compile_rules
from facade.evidence import Difference
from facade.redact import redact_differences, redact_path

_MAX_DECODED = 32 * 1024 * 1024
"""Bytes a compressed body may grow to; beyond, bodies are compared as they came."""


HEADERS = ("content-type", "location")
"""The header fields that are compared unless the plan chooses others."""
_UNKNOWN = Asked()


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as received: header names in any case, the body whole and still content-encoded."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """What to compare. Raises RuleError when a path of ``ignore`` is not understood.

    ``ignore`` holds JSONPaths (see `facade.compare_paths`) whose nodes may differ, be missing or be extra;
    ``rules`` is what else is excused. ``headers`` are the names of the headers that must agree. ``routes``
    holds, by the route's name, what is excused there besides; it comes before what holds everywhere.
    """

    ignore: tuple[str, ...] = ()
    headers: tuple[str, ...] = HEADERS
    rules: tuple[Rule, ...] = ()
    routes: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.place()

    def of(self, route: str) -> "Rules":
        """The rules of one route."""
        if route not in self.routes:
            return self
        return replace(self, rules=(*self.routes[route], *self.rules), routes={})

    def every(self) -> tuple[Rule, ...]:
        """Each rule once, those of single routes included."""
        own = [rule for rules in self.routes.values() for rule in rules]
        return tuple(dict.fromkeys((*self._general(), *own)))

    def place(self) -> Place:
        """The root of a document under the rules that hold on every route."""
        return compile_rules(self._general())

    def _general(self) -> tuple[Rule, ...]:
        return (*_ignoring(self.ignore), *self.rules)


@lru_cache(maxsize=256)
def _ignoring(paths: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(Rule(RuleKind.IGNORE, path) for path in paths)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How two answers differ; no differences means they agree.

    ``fields`` counts every difference by ``(path with [*] for indexes, kind)``; ``differences`` holds the
    first few of each of them in full. ``rules`` counts by rule how many differing places it hid.
    """

    differences: tuple[Difference, ...]
    fields: Mapping[tuple[str, str], int]
    rules: Mapping[str, int]


def compare(
    primary: Answer, shadow: Answer, rules: Rules, asked: Asked = _UNKNOWN, watch: Watch | None = None
) -> Outcome:
    """Compare two answers to the same request; with ``asked`` also URLs that are relative to it.

    ``watch`` is told of the differences of JSON documents with their values, which hold secrets."""
    if primary.status != shadow.status:
        return _outcome([Difference("status", "status", str(primary.status), str(shadow.status))])
    read, names = _reads(primary, shadow), rules.headers
    if not read:
        names = tuple(dict.fromkeys((*(name for name in names if name != "content-type"), "location")))
    headers = [
        found
        for name in names
        if (found := compare_header(name, primary.headers, shadow.headers, asked)) is not None
    ]
    left, right = _bodies(primary, shadow)
    if left == right or not read:
        return _outcome(headers)
    if not is_json(primary.headers):
        return _outcome([*headers, _other(left, right)])
    return _compare_documents(left, right, rules, headers, watch)


def _reads(primary: Answer, shadow: Answer) -> bool:
    """Whether a client reads what both answers have for a body. Not where the status says that there is none,
    nor that of a redirect, which it follows."""
    if primary.status in _REDIRECTS:
        led = all(values_of("location", answer.headers) for answer in (primary, shadow))
        return not led or is_json(primary.headers)
    return primary.status not in _BODYLESS


_BODYLESS = frozenset({204, 304})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _compare_documents(
    left: bytes, right: bytes, rules: Rules, headers: list[Difference], watch: Watch | None
) -> Outcome:
    ours, theirs = _document(left), _document(right)
    if isinstance(ours, NotJsonError) or isinstance(theirs, NotJsonError):
        return _outcome([*headers, _other(left, right, ours, theirs)])
    try:
        found = compare_json(ours, theirs, rules.place(), watch)
    except RecursionError:
        return _outcome([*headers, _other(left, right)])
    return _outcome([*headers, *found.differences], found.fields, found.rules)


def _document(body: bytes) -> Any:
    """The JSON document in ``body``, or why there is none."""
    try:
        return decode(body)
    except NotJsonError as error:
        return error


def _other(left: bytes, right: bytes, *documents: Any) -> Difference:
    """The difference of two bodies that cannot be compared by path, with the reason where one is not JSON."""
    texts = [f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()[:12]}" for body in (left, right)]
    if not documents:
        same = _same(left, right)
        line = left.count(b"\n", 0, same) + 1
        texts = [f"{text}, another from byte {same} on (line {line})" for text in texts]
    for at, document in enumerate(documents):
        if isinstance(document, NotJsonError):
            texts[at] += f", {document}"
    return Difference("body", "body", *texts)


def _same(left: bytes, right: bytes) -> int:
    """How many bytes at the beginning are the same."""
    known, most = 0, min(len(left), len(right))
    while known < most:
        middle = (known + most + 1) // 2
        if left[known:middle] == right[known:middle]:
            known = middle
        else:
            most = middle - 1
    return known


def _outcome(
    differences: Sequence[Difference],
    document: Mapping[tuple[str, str], int] = MappingProxyType({}),
    rules: Mapping[str, int] = MappingProxyType({}),
) -> Outcome:
    """Redacted, and with the counts of the document's fields joined by those of everything before it."""
    fields = Counter((each.path, each.kind) for each in differences if not each.path.startswith("$"))
    for (path, kind), count in document.items():
        fields[redact_path(path), kind] += count
    return Outcome(redact_differences(differences), dict(fields), dict(rules))


def _bodies(primary: Answer, shadow: Answer) -> tuple[bytes, bytes]:
    codings = [values_of("content-encoding", answer.headers) for answer in (primary, shadow)]
    if primary.body == shadow.body and codings[0] == codings[1]:
        return primary.body, shadow.body
    return _plain(primary, codings[0]), _plain(shadow, codings[1])


def _plain(answer: Answer, coding: list[str]) -> bytes:
    """The body without its content coding, where that is gzip or deflate; otherwise as it came."""
    if coding not in (["gzip"], ["x-gzip"], ["deflate"]):
        return answer.body
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: detects gzip or zlib by its header
    try:
        plain = reader.decompress(answer.body, _MAX_DECODED)
    except zlib.error:
        return answer.body
    return plain if reader.eof else answer.body
