"""Where a request is on its travel."""

from enum import Enum

ABORTED = 499
"""The status that logs and metrics show when the client hung up before its answer was whole."""


class Stage(Enum):
    KEY = "reading the body for its routing key"
    HELD = "held"
    FORWARD = "forwarded"
    DONE = "done"
