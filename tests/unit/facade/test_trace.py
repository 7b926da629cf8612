import re

import pytest

from facade.trace import new_parent, trace_begun, trace_of

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00-" + TRACE + b"-00f067aa0ba902b7-01"


@pytest.mark.parametrize("parent", [PARENT, b"cc" + PARENT[2:] + b"-later"])
def test_a_valid_parent_is_continued(parent: bytes) -> None:
    assert trace_of([parent]) == TRACE


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [PARENT, PARENT],
        [b""],
        [PARENT.upper()],
        [b"ff" + PARENT[2:]],
        [PARENT + b"-more"],
        [PARENT[:-1]],
        [b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"],
        [b"00-" + TRACE + b"-" + b"0" * 16 + b"-01"],
    ],
)
def test_anything_else_is_none(parents: list[bytes]) -> None:
    assert trace_of(parents) is None


def test_what_begins_here_is_valid() -> None:
    line = new_parent()
    assert re.fullmatch(rb"traceparent: \S+\r\n", line)
    assert trace_of([line[13:-2]]) == trace_begun(line)
    assert new_parent() != line
