"""Headers compared by what they mean rather than by their bytes."""

from collections.abc import Sequence
from typing import TypeAlias

from facade.evidence import Difference
from facade.redact import ABSENT, redact_header

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Raw header fields in the order received; a name may come in any case and more than once."""

_SETS = frozenset({"cache-control", "vary", "allow", "accept-ranges", "content-language"})
"""Comma separated lists whose order means nothing and whose members are tokens of any case."""


def values_of(name: str, headers: Headers) -> list[str]:
    """The values of every field called ``name`` (lower case), stripped, in order."""
    wanted = name.encode("latin-1")
    return [value.decode("latin-1").strip() for key, value in headers if key.lower() == wanted]


def compare_header(name: str, primary: Headers, shadow: Headers) -> Difference | None:
    """The difference in the header ``name``, if its meaning differs between the two sides."""
    name = name.lower()
    left, right = values_of(name, primary), values_of(name, shadow)
    if left == right or _meaning(name, left) == _meaning(name, right):
        return None
    return Difference(f"header:{name}", "header", _text(name, left), _text(name, right))


def is_json(headers: Headers) -> bool:
    """Whether the content type says JSON, also as ``application/problem+json`` and the like."""
    media = _media_type(", ".join(values_of("content-type", headers)))[0]
    return media == "application/json" or media.endswith("+json")


def _meaning(name: str, values: list[str]) -> object:
    if not values:
        return None
    if name == "content-type":
        return _media_type(", ".join(values))
    if name == "set-cookie":
        return frozenset(_cookie(value) for value in values)
    if name in _SETS:
        return frozenset(
            part.strip().lower() for value in values for part in value.split(",") if part.strip()
        )
    return ", ".join(values)


def _media_type(value: str) -> tuple[str, frozenset[tuple[str, str]]]:
    media, *rest = (part.strip() for part in value.split(";"))
    parameters = set()
    for part in rest:
        key, _, text = part.partition("=")
        key, text = key.strip().lower(), text.strip().strip('"')
        parameters.add((key, text.lower() if key == "charset" else text))
    media = media.lower()
    if media == "application/json":
        parameters.discard(("charset", "utf-8"))  # JSON is UTF-8 (RFC 8259): saying so adds nothing
    return media, frozenset(parameters)


def _cookie(value: str) -> tuple[str, frozenset[str]]:
    """A cookie's name and attributes. Its value and its dates are this answer's own, not the side's."""
    pair, *attributes = (part.strip() for part in value.split(";"))
    kept = {part.lower() for part in attributes if not part.lower().startswith(("expires=", "max-age="))}
    return pair.partition("=")[0], frozenset(kept)


def _text(name: str, values: list[str]) -> str:
    return ", ".join(redact_header(name, value) for value in values) or ABSENT
