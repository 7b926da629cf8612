"""A monolith that never gives the same answer twice, and faults planted in such answers."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from facade.calibrate import calibrate
from facade.compare import Answer, Rules
from facade.compare_location import Asked
from facade.noise import Noise
from migration.calibration import judge_noise
from migration.suggestions import suggest, suggested

ROUTE = "GET /items/{id}"
_JSON = ((b"content-type", b"application/json"),)
_BEGIN = datetime(2026, 3, 1, tzinfo=UTC)

Document = dict[str, Any]


class Noisy:
    """The monolith. Each answer has an id, a time, a duration and a token of its own, a score that varies,
    and a list in an order of its own; the rest depends on the request's number alone."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)

    def document(self, number: int) -> Document:
        chance = self._chance
        related = [{"id": number + step, "title": f"item {number + step}"} for step in (1, 2, 3, 5)]
        chance.shuffle(related)
        served = _BEGIN + timedelta(seconds=10 * number + chance.uniform(0, 2))
        return {
            "id": number,
            "title": f"item {number}",
            "price": number * 1.25,
            "stock": {"here": number % 7, "ordered": None},
            "tags": ["a", "b", f"t{number % 5}"],
            "related": related,
            "score": 50 * (1 + chance.uniform(-0.01, 0.01)),
            "meta": {
                "request_id": str(UUID(int=chance.getrandbits(128), version=4)),
                "served_at": served.isoformat(timespec="milliseconds"),
                "took_ms": chance.randint(1, 40),
                "csrf": chance.randbytes(16).hex(),
            },
        }


def answer(document: Document, status: int = 200) -> Answer:
    return Answer(status, _JSON, json.dumps(document).encode())


def calibrated(pairs: int, seed: int = 1) -> Rules:
    """The rules that so many requests suggest, answered by a service that is no worse than the monolith."""
    monolith, noise = Noisy(seed), Noise()
    for number in range(pairs):
        primary, again, shadow = (answer(monolith.document(number)) for _ in range(3))
        pair = calibrate(primary, again, shadow, Rules(), Asked())
        noise.add(pair.monolith, pair.service)
    return suggested(Rules(), suggest(judge_noise({ROUTE: noise}), Rules())).of(ROUTE)


def _at(*path: str) -> Callable[[Document, Callable[[Any], Any]], None]:
    def change(document: Document, make: Callable[[Any], Any]) -> None:
        inner = document
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = make(inner[path[-1]])

    return change


def _edit(path: tuple[str, ...], make: Callable[[Any], Any]) -> Callable[[Document], None]:
    return lambda document: _at(*path)(document, make)


def _lose(name: str, inner: str | None = None) -> Callable[[Document], None]:
    def lose(document: Document) -> None:
        del (document if inner is None else document[inner])[name]

    return lose


STRUCTURAL: Mapping[str, Callable[[Document], None]] = {
    "a member lost": _lose("price"),
    "a member lost among noise": _lose("csrf", "meta"),
    "a member added": lambda document: document.update(extra=1),
    "a member added among noise": lambda document: document["meta"].update(extra=None),
    "an item lost": lambda document: document["tags"].pop(0),
    "an item lost from a list in any order": lambda document: document["related"].pop(),
    "an item added": lambda document: document["tags"].append("new"),
    "a number as text": _edit(("id",), str),
    "a noisy number as text": _edit(("meta", "took_ms"), str),
    "a whole number with a fraction": _edit(("id",), float),
    "a noisy number without its fraction": _edit(("score",), int),
    "null": _edit(("title",), lambda _: None),
    "null among noise": _edit(("meta", "request_id"), lambda _: None),
    "a list as an object": _edit(("tags",), lambda tags: dict(enumerate(tags))),
    "a text in a list": _edit(("related",), lambda items: [items[0]["title"], *items[1:]]),
}
"""Faults of structure and type."""

_REQUEST, _SERVED, _TOOK, _CSRF = (("meta", name) for name in ("request_id", "served_at", "took_ms", "csrf"))
VALUES: Mapping[str, Callable[[Document], None]] = {
    "an id too short": _edit(_REQUEST, lambda text: text[:-1]),
    "an id without dashes": _edit(_REQUEST, lambda text: text.replace("-", "")),
    "an id that is none": _edit(_REQUEST, lambda _: "None"),
    "an id of other letters": _edit(_REQUEST, lambda text: f"z{text[1:]}"),
    "a time of another zone": _edit(
        _SERVED, lambda text: (datetime.fromisoformat(text) + timedelta(hours=1)).isoformat()
    ),
    "a time of yesterday": _edit(
        _SERVED, lambda text: (datetime.fromisoformat(text) - timedelta(days=1)).isoformat()
    ),
    "a time without its zone": _edit(_SERVED, lambda text: text[:-6]),
    "a date for a time": _edit(_SERVED, lambda text: text[:10]),
    "a time in seconds": _edit(_SERVED, lambda text: str(datetime.fromisoformat(text).timestamp())),
    "microseconds for milliseconds": _edit(_TOOK, lambda number: number * 1000),
    "a clock that ran out": _edit(_TOOK, lambda number: number - 2**31),
    "a token cut": _edit(_CSRF, lambda text: text[:-4]),
    "no token": _edit(_CSRF, lambda _: ""),
    "a token of another sort": _edit(_CSRF, lambda text: text.replace("a", "-").replace("1", "_")),
    "a share for a percentage": _edit(("score",), lambda number: number / 100),
    "a score of the other sign": _edit(("score",), lambda number: -number),
    "a score of another scale": _edit(("score",), lambda number: number * 1.5),
}
"""Faults of the value inside fields that are noise, each of the right type."""
