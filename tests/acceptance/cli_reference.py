"""The reference of the command line, made from the commands themselves.

``python -m tests.acceptance.cli_reference > docs/reference/cli.md`` brings the page up to date.
"""

from collections.abc import Iterator
from typing import Any

import typer

from migration.cli.app import app

_COMMON = {"--plan", "--json", "--help"}
_BAR = r"\|"  # a bar that does not end a table's cell

_HEAD = """\
# Command line

<!-- Made from the commands: python -m tests.acceptance.cli_reference > docs/reference/cli.md -->

Every command takes `--plan FILE` (default `strangler.toml`, or `STRANGLER_PLAN` of the environment), and
`--json`, which prints one JSON document instead of text, errors included. Exceptions: `demo` makes a plan
of its own, and its `--json` names a file; `flags export` prints JSON anyway. `PHASE` is a phase's name.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | a finding, a closed gate, or a move that was taken back: look, and try again |
| 2 | wrong usage, or an error |

An error says what was wrong, where, and what to do. `STRANGLER_DEBUG=1` adds the traceback.
"""


def commands() -> dict[str, Any]:
    """Every command by its words, as in ``flags set``."""
    found: dict[str, Any] = {}
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        for inner, under in getattr(command, "commands", {"": command}).items():
            found[f"{name} {inner}".strip()] = under
    return found


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join(
        [_HEAD, *(line for name, command in commands().items() for line in _section(name, command))]
    )


def _section(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and _own(name, each)]
    usage = " ".join(["strangler", name, *(each.metavar or each.name.upper() for each in arguments)])
    required = "".join(f" {each.opts[0]} …" for each in options if each.required)
    yield f"## {name}\n"
    yield f"`{usage}{required}`\n"
    yield f"{' '.join(command.help.split())}\n"
    rows = [(each.metavar or each.name.upper(), each) for each in arguments]
    rows += [(", ".join((*each.opts, *each.secondary_opts)), each) for each in options]
    if rows:
        yield "| | | default |"
        yield "|---|---|---|"
        for title, each in rows:
            yield f"| `{title.replace('|', _BAR)}` | {each.help} | {_default(each)} |"
        yield ""


def _own(command: str, option: Any) -> bool:
    return command == "demo" or not _COMMON & set(option.opts)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default in {None, False}:
        return "–"
    return f"`{getattr(parameter.default, 'value', parameter.default)}`"


if __name__ == "__main__":
    typer.echo(page(), nl=False)
