"""One answer made of several: what its parts are, and how their answers become one document. Pure.

``{"parts": {"orders": {"status": 200, "body": …}, "stock": {"status": 504, "error": "…"}}, "failed":
["stock"]}``: each part has its status; one that is not a 2xx with JSON says why, and keeps its body if that
is JSON. Numbers and texts stay as the upstream wrote them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from facade.paths import raw_query

PATIENCE = 5.0
"""Seconds that the parts of an answer get by default."""
MOST = 1024 * 1024
"""Bytes of one part's body by default."""
MOST_PARTS = 16
"""Parts of one answer: each request becomes so many."""
FAILED = b"X-Strangler-Failed-Parts"
"""The header field that names the parts that failed."""


_PARAMETER = re.compile(r"{(\w+)(:\w+)?}")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """What an answer is made of: part by part a name and a path, a template in the route's parameters.

    ``timeout`` is in seconds, for all of them together; ``most`` is how many bytes one part's body may have.
    """

    parts: tuple[tuple[str, str], ...]
    timeout: float = PATIENCE
    most: int = MOST


class PartAnswer(NamedTuple):
    """How a part ended. ``body`` is JSON as it came; ``error`` says why it failed, None when it did not."""

    status: int
    body: bytes | None = None
    error: str | None = None


def part_target(template: str, parameters: Mapping[str, str], target: bytes) -> bytes:
    """The raw target of a part: its path with the route's parameters, and the query that the client sent."""

    def value(found: re.Match[str]) -> str:
        return quote(parameters[found[1]], safe="/" if found[2] == ":path" else "", errors="surrogateescape")

    path, query = _PARAMETER.sub(value, template), raw_query(target)
    return path.encode() + (b"?" + query if query else b"")


def judge(status: int, content_type: bytes, body: bytes) -> PartAnswer:
    """An upstream's whole answer to a part."""
    fine = 200 <= status < 300
    media = content_type.partition(b";")[0].strip().lower()
    if fine and not body:
        return PartAnswer(status)
    if (media == b"application/json" or media.endswith(b"+json")) and _is_json(body):
        return PartAnswer(status, body, None if fine else f"status {status}")
    if not fine:
        return PartAnswer(status, None, f"status {status}")
    return PartAnswer(status, None, f"the answer is no JSON ({media.decode('latin-1') or 'no content type'})")


def compose(answers: Mapping[str, PartAnswer]) -> tuple[int, bytes, list[str]]:
    """The status of the whole answer, its body, and the names of the parts that failed.

    As long as one part is there the status is 200. When all failed it is the error that they share, else 502.
    """
    parts: dict[str, dict[str, Any]] = {}
    failed = []
    for name, answer in answers.items():
        part: dict[str, Any] = {"status": answer.status}
        parts[name] = part
        if answer.error is not None:
            failed.append(name)
            part["error"] = answer.error
        if answer.body is not None:
            part["body"] = orjson.Fragment(answer.body)
        elif answer.error is None:
            part["body"] = None
    status = 200
    if len(failed) == len(parts):
        shared = {answer.status for answer in answers.values()}
        status = shared.pop() if len(shared) == 1 and min(shared) >= 400 else 502
    return status, orjson.dumps({"parts": parts, "failed": failed}), failed


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except ValueError:
        return False
    return True
