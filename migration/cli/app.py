"""The ``strangler`` command. Each subcommand is imported when it is asked for, so that all start fast."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

ROOMS = {
    "init": "plan",
    "doctor": "plan",
    "serve": "processes",
    "relay": "processes",
    "sync": "data",
    "check": "consistency",
    "status": "watching",
    "shadow": "shadow",
    "calibrate": "calibrating",
    "advance": "journey",
    "ramp": "journey",
    "rollback": "journey",
    "complete": "journey",
    "approve": "consents",
    "confirm": "consents",
    "runbook": "runbook",
    "override": "override",
    "flags": "flags",
    "guard": "guard",
    "audit": "audit",
    "demo": "demo",
}
"""Each command by the module of this package that registers it, in the order of the help."""


class _Commands(MutableMapping[str, Any]):
    """The commands by name; those of a room are made when the first of them is looked up."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            room = typer.Typer()
            import_module(f"migration.cli.{ROOMS[name]}").register(room)
            self._made.update(typer.main.get_group(room).commands)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(ROOMS)

    def __len__(self) -> int:
        return len(ROOMS)


class _Strangler(TyperGroup):
    """The root of the command line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = _Commands()


app = typer.Typer(
    cls=_Strangler,
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
