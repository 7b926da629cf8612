"""The method that a request means: the one in its line, unless a field asks the server to take another.

Some frameworks do what ``X-HTTP-Method-Override`` says, others do not, and the facade cannot know. A request
that says two methods is passed on only when both lead the same way: to no route, or to the same phase, as a
write or as a read, with the same parameters. One whose line has an idempotent method is refused in any case,
because it might be sent twice, shadowed, or answered by a side that does not accept the write it hides.
"""

import re
from typing import TYPE_CHECKING

from facade.headers import Refused
from facade.retry import IDEMPOTENT

if TYPE_CHECKING:
    from facade.routes import Match, RouteTable

_METHOD = re.compile(rb"[A-Z]{1,20}")


def agree(
    routes: "RouteTable", match: "Match | None", method: bytes, instead: tuple[bytes, ...], target: bytes
) -> None:
    """Judge the methods that are asked for ``instead`` of the one that leads to ``match``. Raises Refused."""
    for other in instead:
        if other == method or not other:
            continue
        if (
            method in IDEMPOTENT
            or not _METHOD.fullmatch(other)
            or not _alike(match, routes.match(other, target))
        ):
            raise Refused(
                400, "its fields ask for another method. Send it with the method that is meant in its line"
            )


def _alike(match: "Match | None", other: "Match | None") -> bool:
    if match is None or other is None:
        return match is other
    return (match.route.phase, match.route.retired, match.write, match.parameters) == (
        other.route.phase,
        other.route.retired,
        other.write,
        other.parameters,
    )
