"""``strangler calibrate``: how far the monolith differs from itself, and the rules that this suggests."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from flags.percent import format_percent, parse_percent
from migration.calibration import FieldJudgement, Judgement, judge_noise, noisy_pairs
from migration.cli.options import DEFAULT_PLAN, Json, PhaseName, PlanFile, Since
from migration.cli.output import out, print_json
from migration.cli.session import opened
from migration.flag_desk import FlagDesk
from migration.intervals import Interval
from migration.moments import moment_of
from migration.noise import noise_of
from migration.report.page import count, percent
from migration.suggestions import Suggestion, suggest, to_toml
from migration.wiring import Wiring

_MEANINGS = {
    Judgement.FAULT: "[red]fault[/]: the service differs more often than the monolith does from itself",
    Judgement.UNSTABLE: "[yellow]unstable[/]: the monolith itself does it, and no rule should hide it",
    Judgement.NOISE: "noise",
    Judgement.UNCLEAR: "[dim]too few to tell[/]",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(calibrate)


def calibrate(
    phase: PhaseName,
    share: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT", help="Ask the monolith this share of the mirrored reads twice from now on."
        ),
    ] = None,
    since: Since = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Say how far the monolith differs from itself, and suggest rules. Exit 1 for a fault in the noise."""
    with opened(plan) as wiring:
        section = wiring.plan.phase(phase)
        if share is not None:
            wanted = parse_percent(share, wiring.plan.flags.precision)
            FlagDesk(wiring.control, wiring.flags).set_share(f"{phase}.calibrate", wanted)
        asked = wiring.flags.snapshot().share(f"{phase}.calibrate")
        routes = noise_of(wiring.control, phase, _begin(wiring, phase, since))
    judged = judge_noise(routes)
    suggestions = suggest(judged, section.shadow.rules())
    noisy, pairs = noisy_pairs(routes.values())
    if json:
        print_json(
            {
                "share": format_percent(asked),
                "pairs": pairs,
                "noisy": noisy,
                "fields": [_plain(field) for field in judged],
                "rules": [_rule(each) for each in suggestions],
                "toml": to_toml(suggestions),
            }
        )
    else:
        _show(phase, format_percent(asked), (noisy, pairs), judged, suggestions)
    if any(field.judgement is Judgement.FAULT for field in judged):
        raise typer.Exit(1)


def _begin(wiring: Wiring, phase: str, since: str | None) -> float:
    if since is None:
        return wiring.control.phase(phase).evidence_since
    with wiring.control.read() as connection:
        return moment_of(since, wiring.control.now(connection))


def _show(
    phase: str,
    share: str,
    pairs: tuple[int, int],
    judged: list[FieldJudgement],
    suggestions: list[Suggestion],
) -> None:
    out.print(f"The monolith is asked {share} % of the mirrored reads of {phase} twice.")
    if not pairs[1]:
        out.print(f"No pairs yet. Begin with: strangler calibrate {phase} --share 10")
        return
    out.print(f"It differed from itself in {count(pairs[0])} of {count(pairs[1])} pairs.")
    if judged:
        out.print(_table(judged), soft_wrap=False)
    if suggestions:
        out.print("[bold]For the plan, below the phase:[/]\n")
        out.print(to_toml(suggestions), markup=False, highlight=False, soft_wrap=True)


def _table(judged: list[FieldJudgement]) -> Table:
    table = Table(title="Where answers differ", title_justify="left", header_style="bold")
    for heading in ("route", "field", "kind"):
        table.add_column(heading, overflow="fold")
    for heading in ("monolith", "95 %", "service", "95 %", "alone", "p"):
        table.add_column(heading, justify="right")
    table.add_column("is")
    for field in judged:
        table.add_row(
            field.route,
            field.path,
            field.kind,
            count(field.monolith),
            _interval(field.monolith_interval),
            count(field.service),
            _interval(field.service_interval),
            f"{count(field.monolith_alone)} / {count(field.service_alone)}",
            f"{field.chance:.2g}",
            _MEANINGS[field.judgement],
        )
    return table


def _interval(interval: Interval) -> str:
    return f"{percent(interval[0])} – {percent(interval[1])}"


def _plain(field: FieldJudgement) -> dict[str, Any]:
    intervals = {"monolith_interval": field.monolith_interval, "service_interval": field.service_interval}
    return {**asdict(field), **intervals}


def _rule(suggestion: Suggestion) -> dict[str, str]:
    rule = suggestion.rule
    return {
        "route": suggestion.route,
        "kind": str(rule.kind),
        "path": rule.path,
        "argument": rule.argument,
    }
