"""The routing key: what makes a split sticky, and what owns a write.

Written as ``jwt:sub``, ``header:X-User``, ``cookie:sid``, ``path:id``, ``query:tenant`` or ``body:/user/id``
(a JSON pointer). A claim is read without verifying the token's signature: a client that forges one chooses
which side answers it, nothing else; the side it reaches verifies the token.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

import orjson

from facade.errors import RoutingKeyError
from facade.headers import Fields
from facade.paths import raw_query

SOURCES = ("jwt", "header", "cookie", "path", "query", "body")


@dataclass(frozen=True, slots=True)
class RoutingKey:
    """Where in a request the key is: ``source`` is one of SOURCES, ``name`` what to look for there."""

    source: str
    name: str

    @classmethod
    def parse(cls, text: str) -> "RoutingKey":
        """Read ``source:name``. Raises RoutingKeyError."""
        source, _, name = text.partition(":")
        if source not in SOURCES or not name:
            raise RoutingKeyError(
                f"the routing key {text!r} is not understood. Write one of: jwt:sub, header:X-User, "
                "cookie:sid, path:id, query:tenant, body:/user/id."
            )
        if source == "body" and not name.startswith("/"):
            raise RoutingKeyError(f"the routing key {text!r} needs a JSON pointer, as in body:/user/id.")
        return cls(source, name.lower() if source == "header" else name)

    @property
    def in_body(self) -> bool:
        """Whether the request's body has to be read before the request can be decided."""
        return self.source == "body"

    def extract(
        self, fields: Fields, target: bytes, parameters: Mapping[str, str], body: bytes | None
    ) -> str | None:
        """The key of a request, or None when it has none."""
        match self.source:
            case "jwt":
                scheme, _, token = fields.value(b"authorization").partition(b" ")
                return claim(token.strip(), self.name) if scheme.lower() == b"bearer" else None
            case "header":
                return fields.value(self.name.encode("latin-1", "replace")).decode("latin-1") or None
            case "cookie":
                return cookie(fields, self.name)
            case "path":
                return parameters.get(self.name)
            case "query":
                return _query(raw_query(target), self.name)
            case _:
                return pointer(body, self.name) if body is not None else None


@lru_cache(maxsize=4096)
def claim(token: bytes, name: str) -> str | None:
    """A claim of a JSON web token, unverified."""
    parts = token.split(b".")
    if len(parts) != 3:
        return None
    try:
        payload = orjson.loads(base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    return _text(payload.get(name)) if isinstance(payload, dict) else None


def cookie(fields: Fields, name: str) -> str | None:
    """The value of the first cookie with this name."""
    wanted = name.encode("latin-1", "replace")
    for header in fields.values(b"cookie"):
        for pair in header.split(b";"):
            key, _, value = pair.strip().partition(b"=")
            if key == wanted:
                return value.strip(b'"').decode("latin-1") or None
    return None


def pointer(body: bytes, path: str) -> str | None:
    """The text or whole number at a JSON pointer (RFC 6901) into a JSON body."""
    try:
        node = orjson.loads(body)
    except ValueError:
        return None
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and key.isascii() and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return _text(node)


def _query(query: bytes, name: str) -> str | None:
    for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=False):
        if key == name:
            return value
    return None


def _text(value: object) -> str | None:
    """Only what identifies: a text, or a whole number written as one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return value or None if isinstance(value, str) else None
