"""Headers compared by what they mean rather than by their bytes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import inf
from typing import NamedTuple, TypeAlias

from facade.compare_location import Asked, location
from facade.evidence import Difference
from facade.redact import ABSENT, redact_header

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Raw header fields in the order received; a name may come in any case and more than once."""

_SETS = frozenset({"vary", "allow", "accept-ranges", "content-language"})
"""Comma separated lists whose order means nothing and whose members are tokens of any case."""
_URLS = frozenset({"location", "content-location"})
_ETAG = re.compile(r'(?P<weak>W/)?"(?P<tag>[^"]*)"')
_SLACK_SECONDS = 5.0
"""How far the lifetimes of two cookies may be apart: one of them may be computed from a clock."""


class Cookie(NamedTuple):
    """What a cookie that is set means to a browser. Its value is each answer's own; only being empty counts.

    ``lifetime`` is in seconds: None for as long as the browser runs, 0 for a cookie that is taken away,
    infinite for one that lives on for nobody knows how long.
    """

    name: str
    domain: str
    path: str
    empty: bool
    flags: frozenset[tuple[str, str]]
    lifetime: float | None

    def like(self, other: "Cookie") -> bool:
        ours, theirs = self.lifetime, other.lifetime
        if ours is None or theirs is None:
            return self == other
        return self[:-1] == other[:-1] and _near(ours, theirs)


def values_of(name: str, headers: Headers) -> list[str]:
    """The values of every field called ``name`` (lower case), stripped, in order."""
    wanted = name.encode("latin-1")
    return [value.decode("latin-1").strip() for key, value in headers if key.lower() == wanted]


def compare_header(name: str, primary: Headers, shadow: Headers, asked: Asked) -> Difference | None:
    """The difference in the header ``name``, if its meaning differs between the two sides."""
    name = name.lower()
    left, right = values_of(name, primary), values_of(name, shadow)
    if left == right or (left and right and _alike(name, left, right, (primary, shadow), asked)):
        return None
    return Difference(f"header:{name}", "header", _text(name, left), _text(name, right))


def is_json(headers: Headers) -> bool:
    """Whether the content type says JSON, also as ``application/problem+json`` and the like."""
    media = _media_type(values_of("content-type", headers))[0]
    return media == "application/json" or media.endswith("+json")


def _alike(
    name: str, left: list[str], right: list[str], headers: tuple[Headers, Headers], asked: Asked
) -> bool:
    if name == "set-cookie":
        ours, theirs = (
            sorted(_cookies(values, each), key=lambda cookie: cookie[:3])
            for values, each in zip((left, right), headers, strict=True)
        )
        return len(ours) == len(theirs) and all(map(Cookie.like, ours, theirs))
    if name in _URLS:
        return [location(value, asked) for value in left] == [location(value, asked) for value in right]
    meaning = _MEANINGS.get(name, _set if name in _SETS else ", ".join)
    return meaning(left) == meaning(right)


def _set(values: list[str]) -> object:
    return frozenset(part.strip().lower() for value in values for part in value.split(",") if part.strip())


def _directives(values: list[str]) -> object:
    """``Cache-Control``: names of any case, their arguments with or without quotes, numbers as numbers."""
    found = set()
    for part in _parts(", ".join(values), ","):
        name, _, argument = part.partition("=")
        argument = argument.strip().strip('"')
        seconds = argument.isascii() and argument.isdigit()
        found.add((name.strip().lower(), int(argument) if seconds else _fields(argument)))
    return frozenset(found)


def _fields(argument: str) -> object:
    """The names of header fields that ``private`` and ``no-cache`` may list."""
    return frozenset(part.strip().lower() for part in argument.split(","))


def _etag(values: list[str]) -> object:
    """Whether it is weak, and the tag between the quotes, which some servers leave out."""
    found = _ETAG.fullmatch(", ".join(values))
    return (bool(found["weak"]), found["tag"]) if found else (False, ", ".join(values))


def _media_type(values: list[str]) -> tuple[str, frozenset[tuple[str, str]]]:
    media, *rest = [*_parts(", ".join(values), ";")] or [""]
    media, parameters = media.lower(), set()
    for part in rest:
        key, _, text = part.partition("=")
        key, text = key.strip().lower(), text.strip().strip('"')
        parameters.add((key, text.lower() if key == "charset" else text))
    if media == "application/json":
        parameters.discard(("charset", "utf-8"))  # JSON is UTF-8 (RFC 8259): saying so adds nothing
    if media.startswith("multipart/"):
        parameters = {each for each in parameters if each[0] != "boundary"}  # each answer's own
    return media, frozenset(parameters)


_MEANINGS: Mapping[str, Callable[[list[str]], object]] = {
    "cache-control": _directives,
    "content-type": _media_type,
    "etag": _etag,
}


def _parts(text: str, separator: str) -> Iterator[str]:
    """The parts of a field's value, stripped; a separator inside quotes is none."""
    part, quoted = "", False
    for character in text:
        if character == separator and not quoted:
            if part.strip():
                yield part.strip()
            part = ""
            continue
        quoted ^= character == '"'
        part += character
    if part.strip():
        yield part.strip()


def _cookies(values: list[str], headers: Headers) -> list[Cookie]:
    """What remains set: of two cookies of one name, domain and path the later one."""
    answered = _moment(", ".join(values_of("date", headers)))
    found = (_cookie(value, answered) for value in values)
    return list({(cookie.name, cookie.domain, cookie.path): cookie for cookie in found}.values())


def _cookie(value: str, answered: datetime | None) -> Cookie:
    pair, *parts = (part.strip() for part in value.split(";"))
    attributes = {}
    for part in parts:
        key, _, text = part.partition("=")
        attributes[key.strip().lower()] = text.strip()
    name, _, content = pair.partition("=")
    taken = {"domain", "path", "max-age", "expires"}
    return Cookie(
        name.strip(),
        attributes.get("domain", "").lstrip(".").lower(),
        attributes.get("path", ""),
        not content.strip().strip('"'),
        frozenset((key, text.lower()) for key, text in attributes.items() if key not in taken),
        _lifetime(attributes, answered),
    )


def _lifetime(attributes: Mapping[str, str], answered: datetime | None) -> float | None:
    """``Max-Age`` before ``Expires`` (RFC 6265, 5.3), which is counted from the answer's own ``Date``.

    Without a date only an expiry long ago says something: the cookie is taken away.
    """
    try:
        return max(0.0, float(int(attributes["max-age"])))
    except (KeyError, ValueError):
        pass
    expires = _moment(attributes.get("expires", ""))
    if expires is None:
        return None
    if answered is None:
        return 0.0 if expires.year < _RECENT else inf
    return max(0.0, (expires - answered).total_seconds())


_RECENT = 2000


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text.replace("-", " "))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _near(one: float, other: float) -> bool:
    """Alive or taken away on both sides, and as far as is known for about as long."""
    return bool(one) == bool(other) and (max(one, other) == inf or abs(one - other) <= _SLACK_SECONDS)


def _text(name: str, values: list[str]) -> str:
    return ", ".join(redact_header(name, value) for value in values) or ABSENT
