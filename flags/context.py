"""Who asks: what Unleash's strategies and constraints may look at."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import randrange
from types import MappingProxyType
from typing import NamedTuple

Draw = Callable[[int], int]
"""A whole number below the given one, drawn anew at each call."""


class Context(NamedTuple):
    """Unleash's context. ``user_id`` is the routing key; ``current_time`` is RFC 3339, now without one.

    ``properties`` are all other names that constraints and stickiness may ask for. ``draw`` decides what
    is sticky on nothing.
    """

    user_id: str | None = None
    session_id: str | None = None
    remote_address: str | None = None
    environment: str | None = None
    app_name: str | None = None
    current_time: str | None = None
    properties: Mapping[str, str] = MappingProxyType({})
    draw: Draw = randrange


Lookup = Callable[[Context], str | None]

_FIELDS: Mapping[str, Lookup] = {
    "userId": lambda context: context.user_id,
    "sessionId": lambda context: context.session_id,
    "remoteAddress": lambda context: context.remote_address,
    "environment": lambda context: context.environment,
    "appName": lambda context: context.app_name,
    "currentTime": lambda context: (
        _now(time.time()) if context.current_time is None else context.current_time
    ),
}


def lookup(name: str) -> Lookup:
    """What a context says under this name."""
    return _FIELDS.get(name) or (lambda context: context.properties.get(name))


def sticky(stickiness: str) -> Lookup:
    """What a rollout with this stickiness hashes; None when the context has nothing to hash."""
    if stickiness == "random":
        return _drawn
    if stickiness == "default":
        return _default
    return lookup(stickiness)


def _default(context: Context) -> str | None:
    if context.user_id is not None:
        return context.user_id
    return _drawn(context) if context.session_id is None else context.session_id


def _drawn(context: Context) -> str:
    return str(1 + context.draw(99))  # 1..99, as the engine draws


def _now(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
