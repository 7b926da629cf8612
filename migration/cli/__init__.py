"""The command line: every command of ``strangler``, and the one place where errors become exit codes."""

import os
import sys

from rich.markup import escape

from migration.cli.app import app
from migration.cli.output import err, print_json


def main() -> None:
    """Run ``strangler``. Exit 0 ok, 1 a finding or a closed gate, 2 wrong usage or an error.

    An error is told on standard error, and with ``--json`` as the command's document too.
    """
    try:
        app()
    except Exception as error:
        if os.environ.get("STRANGLER_DEBUG"):
            raise
        # Knowing every kind of error takes importing the whole toolkit: not for a command that succeeds.
        from migration.cli.failure import describe, document, exit_code  # noqa: PLC0415

        err.print(f"[bold red]error:[/] {escape(describe(error))}")
        if "--json" in sys.argv:
            print_json(document(error))
        sys.exit(exit_code(error))
