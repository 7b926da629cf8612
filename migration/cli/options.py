"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

PlanFile = Annotated[
    Path,
    typer.Option(
        "--plan", envvar="STRANGLER_PLAN", help="The plan.", show_default=True, rich_help_panel="Common"
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text.", rich_help_panel="Common")
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Count from here on: 30m, 2h, 7d or a time (UTC). Else since the phase entered shadow.",
    ),
]
PhaseName = Annotated[str, typer.Argument(metavar="PHASE", help="A phase of the plan.", show_default=False)]

DEFAULT_PLAN = Path("strangler.toml")
