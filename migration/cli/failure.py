"""How an error is told to a user: in one paragraph, with its remedy, without secrets."""

from rich.markup import escape
from sqlalchemy.exc import DBAPIError

from dual_write.errors import DataError
from flags.errors import FlagError
from migration.errors import MigrationError


def describe(error: Exception) -> str:
    """The text for a user, as rich markup. Our own errors say what to do; others get their type and place."""
    if isinstance(error, MigrationError | DataError | FlagError):
        return escape(str(error))
    if isinstance(error, DBAPIError):
        # `str(error)` would carry the statement's parameters, which may be personal data.
        return escape(f"the database refused: {error.orig}")
    if isinstance(error, OSError):
        return escape(str(error))
    return escape(
        f"{type(error).__name__}: {error} – this is a fault of strangler, not of yours; "
        "run again with STRANGLER_DEBUG=1 for the traceback and report it."
    )
