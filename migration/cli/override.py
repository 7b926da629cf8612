"""``strangler override``: a token with which one client chooses the side that answers its reads."""

from typing import Annotated

import typer

from facade import override
from flags.side import Side
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.errors import MigrationError
from migration.plan_secrets import secret


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("override")(issue)


def issue(
    phase: PhaseName,
    side: Annotated[Side, typer.Option(help="Who answers.")] = Side.SERVICE,
    minutes: Annotated[float, typer.Option(help="How long the token is good.", min=0.01, max=1440)] = 60,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Print a header field that forces the reads of a phase to one side, until it expires."""
    with opened(plan) as wiring:
        section = wiring.plan.facade.override
        name = wiring.plan.phase(phase).name
        if section is None:
            raise MigrationError("the plan has no [facade.override]. Add it, with a `secret_file`.")
        token = override.issue(secret(section, wiring.plan.directory), side, name, minutes * 60)
    if json:
        print_json({"header": "X-Strangler-Side", "token": token, "phase": name, "side": side.value})
    else:
        out.print(f"X-Strangler-Side: {token}", soft_wrap=True, markup=False, highlight=False)
