"""``strangler check``: do both sides hold the same rows, of a phase or of any two databases?"""

import json as documents
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from secrets import randbits
from typing import Annotated, Any

import typer

from dual_write.check import POLITE, Manners
from dual_write.check_result import CheckResult, TableResult, shown_key
from dual_write.check_sample import Sample
from flags.side import Side
from migration.check_watching import Habit
from migration.checking import check_databases, check_phase, planned_manners
from migration.cli.again import watch_phase
from migration.cli.bars import bars
from migration.cli.findings import show, show_repair
from migration.cli.options import DEFAULT_PLAN, Json, PlanFile
from migration.cli.output import FINDING, OK, out, print_json
from migration.cli.session import opened
from migration.repairing import keep_side, repair_phase
from migration.report import render_check
from migration.soundness import SOUND, Soundness
from migration.wiring import Wiring


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    context: typer.Context,
    phase: Annotated[
        str | None,
        typer.Argument(metavar="PHASE", help="A phase of the plan; none with --source.", show_default=False),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Plan how to mend what differs.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="With --repair: mend it, and check again.")] = False,
    keep: Annotated[
        Side | None,
        typer.Option(help="While writes are split: whose row stays where both sides changed one."),
    ] = None,
    max_deletes: Annotated[int, typer.Option(help="With --repair: delete no more rows than this.")] = 100,
    script: Annotated[
        bool, typer.Option("--script", help="With --repair: write what is planned into a file of SQL.")
    ] = False,
    table: Annotated[str | None, typer.Option(help="This table alone, by its name on either side.")] = None,
    limit: Annotated[int | None, typer.Option(help="Stop after so many findings.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write every finding into this file, a line of JSON each.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page here.")] = None,
    share: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100,
            help="Read for no more than this percentage of the time, else the plan's or 15; 100: full speed.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        int, typer.Option(min=1, help="Seconds that one statement may take (PostgreSQL).")
    ] = 60,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, also where a check was broken off.")
    ] = False,
    since: Annotated[
        bool, typer.Option("--since", help="Only what changed since the last check, if that was clean.")
    ] = False,
    sample: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="This percentage of the key ranges; opens no gate."),
    ] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="Read each side as of one moment, in one long transaction.")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="With --sample: draw the same ranges again.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again and again until Ctrl-C, in between as --since.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="With --watch: seconds between two checks.")] = 60.0,
    whole_every: Annotated[
        float, typer.Option(min=0.1, help="With --watch: seconds between two checks of every row.")
    ] = 3600.0,
    source: Annotated[
        str | None,
        typer.Option(
            envvar="STRANGLER_SOURCE",
            help="Without a plan: the URL of the database that is right.",
            show_envvar=True,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            envvar="STRANGLER_TARGET",
            help="With --source: the database to compare with it.",
            show_envvar=True,
        ),
    ] = None,
    target_table: Annotated[
        str | None, typer.Option(help="With --source: the table's name at the target, if it is another.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="With --source: a column to leave out. May be repeated.")
    ] = None,
    plan: PlanFile = DEFAULT_PLAN,
    json: Json = False,
) -> None:
    """Compare both sides while they are written to. Exit 1 when they differ."""
    if phase is not None and _typed(context, "source"):
        raise typer.BadParameter("A phase names its databases in the plan; give it or --source.")
    sampled = sample is not None
    _refuse(
        (apply and not repair, "--apply says to carry out a --repair; give both."),
        (script and not repair, "--script writes down a --repair; give both."),
        (repair and phase is None, "--repair needs a phase of a plan: it says which side follows."),
        (
            keep is not None and phase is None,
            "--keep needs a phase of a plan: only there both sides may write.",
        ),
        (
            phase is None and (since or watch or sampled),
            "--since, --watch and --sample need a phase of a plan.",
        ),
        (watch and (repair or since), "--watch only reads, and decides by itself; leave the rest out."),
        (
            (watch or since) and bool(table or limit or sampled or snapshot),
            "leave --table, --limit, --sample and --snapshot out.",
        ),
    )
    if phase is not None and watch:
        with opened(plan) as wiring:
            habit = Habit(every, whole_every, planned_manners(wiring, phase, share=share, seconds=timeout))
            clean = watch_phase(wiring, phase, habit, json=json)
        raise typer.Exit(OK if clean else FINDING)
    if phase is None:
        if source is None or target is None or table is None:
            raise typer.BadParameter("Name a phase, or give --source, --target and --table.")
        with bars(json) as shown:
            result = check_databases(
                source,
                target,
                table,
                named=target_table,
                ignore=ignore or (),
                progress=shown.show,
                limit=limit,
                manners=Manners(share / 100 if share else POLITE.share, timeout),
                snapshot=snapshot,
            )
        _keep([("target", result)], table, export, html)
        _tell(table, [("target", result)], result.to_json, export, json)
        raise typer.Exit(OK if result.clean else FINDING)
    with opened(plan) as wiring:
        manners = planned_manners(wiring, phase, share=share, seconds=timeout)
        if keep is not None:
            _keep_side(wiring, phase, keep, json=json)
        with bars(json) as shown:
            report = check_phase(
                wiring,
                phase,
                progress=shown.show,
                table=table,
                limit=limit,
                manners=manners,
                fresh=fresh,
                since=since,
                snapshot=snapshot,
                sample=None
                if sample is None
                else Sample(sample / 100, randbits(31) if seed is None else seed),
            )
        mended = None
        if repair and report.findings:
            mended = repair_phase(wiring, report, apply=apply, max_deletes=max_deletes, scripts=script)
            if apply:
                report = check_phase(
                    wiring, phase, table=table, limit=limit, manners=manners, repaired=mended["applied"]
                )
    _keep(report.results, phase, export, html, report.soundness)
    document = lambda: {**report.to_json(), "repair": mended}  # noqa: E731
    _tell(phase, report.results, document, export, json, report.soundness)
    if mended is not None and not json:
        show_repair(mended, applied=apply)
    if not report.clean:
        raise typer.Exit(FINDING)


def _refuse(*rules: tuple[bool, str]) -> None:
    for broken, said in rules:
        if broken:
            raise typer.BadParameter(said)


def _typed(context: typer.Context, option: str) -> bool:
    """Whether the option was typed, rather than left out or taken from the environment."""
    given = context.get_parameter_source(option)
    return given is not None and given.name == "COMMANDLINE"


def _tell(
    name: str,
    results: Sequence[tuple[str, CheckResult]],
    document: Callable[[], Mapping[str, Any]],
    export: Path | None,
    json: bool,
    sound: Soundness = SOUND,
) -> None:
    if json:
        print_json(document())
    else:
        show(name, results, export, sound)


def _keep_side(wiring: Wiring, phase: str, side: Side, *, json: bool) -> None:
    settled = keep_side(wiring, phase, side)
    if not json:
        out.print(f"{len(settled)} rows that both sides changed stay as they are on the {side}.")


def _keep(
    results: Sequence[tuple[str, CheckResult]],
    name: str,
    export: Path | None,
    html: Path | None,
    sound: Soundness = SOUND,
) -> None:
    if export is not None:
        lines = (line for _, result in results for each in result.tables for line in _lines(each))
        with export.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in chain(lines, _unsound(sound)))
    if html is not None:
        html.write_text(render_check(name, results, sound), encoding="utf-8")


def _lines(result: TableResult) -> Iterator[str]:
    undecided = (
        {"table": result.target, "kind": "undecided", "key": shown_key(key)} for key in result.undecided
    )
    found = (finding.to_json() for finding in result.findings)
    return (documents.dumps(each, ensure_ascii=False, default=str) for each in chain(found, undecided))


def _unsound(sound: Soundness) -> list[str]:
    orphans = [
        {"reference": str(result.reference), "kind": "orphan", "key": shown_key(key)}
        for result in sound.references
        for key in result.orphans
    ]
    behind = [{"kind": "sequence", "said": str(each)} for each in sound.behind]
    broken = [{"kind": "invariant", **result.to_json()} for result in sound.broken]
    return [documents.dumps(each, ensure_ascii=False, default=str) for each in (*orphans, *behind, *broken)]
