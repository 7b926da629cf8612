"""Who is at work here, as the audit log names them."""

import getpass
import os
import socket

VARIABLE = "STRANGLER_ACTOR"
"""Names the person where many share one login, as on a jump host or in a pipeline."""


def this_actor() -> str:
    """``STRANGLER_ACTOR`` where it is set, or else the login and the host."""
    return os.environ.get(VARIABLE, "").strip() or f"{getpass.getuser()}@{socket.gethostname()}"


def person(actor: str) -> str:
    """What tells one person from another: the login, on whatever host they are."""
    return actor.partition("@")[0].casefold()
