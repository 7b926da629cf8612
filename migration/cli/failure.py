"""How an error is told to a user: in one paragraph, with its remedy, without secrets."""

from typing import Any

from sqlalchemy.exc import DBAPIError

from dual_write.errors import DataError
from facade.errors import FacadeError
from flags.errors import FlagError
from migration.cli.output import FINDING, USAGE
from migration.demo.errors import DemoError
from migration.errors import GateClosed, MigrationError, RunCancelled, WalkStopped

_OURS = (MigrationError, DataError, FacadeError, FlagError, DemoError, OSError)
"""Errors whose text says what was wrong and what to do; the system's own say it well enough."""
_NOT_NOW = (GateClosed, RunCancelled, WalkStopped)
"""What was asked for is right, but the facts do not allow it yet."""


def describe(error: Exception) -> str:
    """The text for a user."""
    if isinstance(error, _OURS):
        return str(error)
    if isinstance(error, DBAPIError):
        # `str(error)` would carry the statement's parameters, which may be personal data.
        return f"the database refused: {error.orig}"
    return (
        f"{type(error).__name__}: {error} – this is a fault of strangler, not of yours; "
        "run again with STRANGLER_DEBUG=1 for the traceback and report it."
    )


def document(error: Exception) -> dict[str, Any]:
    """The same for a program, with the gates that are closed."""
    told: dict[str, Any] = {"error": type(error).__name__, "message": describe(error)}
    if isinstance(error, GateClosed):
        told["gates"] = error.verdicts
    return told


def exit_code(error: Exception) -> int:
    """1 when it is worth trying again later, else 2."""
    return FINDING if isinstance(error, _NOT_NOW) else USAGE
