"""The ``strangler`` command with its subcommands, by the room of the design that they belong to."""

from importlib.metadata import version
from typing import Annotated

import typer

from migration.cli import data, demo, flags, journey, override, plan, processes, watching

app = typer.Typer(
    name="strangler",
    help="Move one capability after another out of a running monolith, with a way back until the very end.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strangler {version('strangler-fig')}")
        raise typer.Exit


@app.callback()
def root(
    _version_option: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""


plan.register(app)
processes.register(app)
data.register(app)
watching.register(app)
journey.register(app)
override.register(app)
demo.register(app)
app.add_typer(flags.app, name="flags")
