"""The command line: every command of ``strangler``, and the one place where errors become exit codes."""

import os
import sys

from migration.cli.app import app
from migration.cli.output import USAGE, err
from migration.cli.failure import describe


def main() -> None:
    """Run ``strangler``. Exit 0 ok, 1 a finding or a closed gate, 2 wrong usage or an error."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the edge of the program: no user sees a traceback
        if os.environ.get("STRANGLER_DEBUG"):
            raise
        err.print(f"[bold red]error:[/] {describe(error)}", soft_wrap=True)
        sys.exit(USAGE)
