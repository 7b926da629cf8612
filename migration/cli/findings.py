"""What a check found and what a repair did, on the screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dual_write.check_result import CheckResult
from dual_write.spool import Joined
from migration.cli.output import out, print_table
from migration.soundness import Soundness

_SHOWN_FINDINGS = 20


def show(
    name: str, results: Sequence[tuple[str, CheckResult]], export: Path | None, sound: Soundness
) -> None:
    """Every table, the first findings, what the verdict covers, and the verdict."""
    print_table(
        f"Check of {name}",
        ("table", "to", "rows", "findings", "undecided"),
        [
            (f"{each.source} → {each.target}", to, each.rows, len(each.findings), len(each.undecided))
            for to, result in results
            for each in result.tables
        ],
    )
    findings = Joined(result.findings for _, result in results)
    for finding in findings[:_SHOWN_FINDINGS]:
        columns = ", ".join(finding.columns)
        out.print(f"  {finding.table} {list(finding.key)}: {finding.kind} {columns}".rstrip(), markup=False)
    if len(findings) > _SHOWN_FINDINGS:
        listed = f"{export} lists them all" if export else "--export FILE or --json lists them all"
        out.print(f"  … and {len(findings) - _SHOWN_FINDINGS} more; {listed}", markup=False)
    for reference in sound.references:
        if reference.orphans:
            said = f"{reference.reference}: {len(reference.orphans)} without their row: {reference.shown}"
            out.print(f"  {said}", markup=False)
    for numbering in sound.behind:
        out.print(f"  {numbering}", markup=False)
    for invariant in sound.broken:
        out.print(f"  invariant {invariant.name!r} {invariant.holding}: {invariant.said}", markup=False)
    for _, result in results:
        out.print(result.covers)
    if sound.references or sound.invariants:
        out.print(sound.covers)
    clean = all(result.clean for _, result in results) and not sound.problems
    verdict = "[bold green]clean[/]" if clean else "[bold red]not clean[/]"
    rows, seconds = sum(result.rows for _, result in results), sum(result.seconds for _, result in results)
    out.print(f"{verdict}: {rows} rows in {seconds:.1f} s")


def show_repair(mended: Mapping[str, Any], *, applied: bool) -> None:
    """What `migration.repairing.repair_phase` returned."""
    for statement in mended["statements"][:_SHOWN_FINDINGS]:
        out.print(f"  {statement}", markup=False)
    if (left := len(mended["statements"]) - _SHOWN_FINDINGS) > 0:
        out.print(f"  … and {left} more; --json lists them all")
    for file in mended["scripts"]:
        out.print(f"As SQL: {file}", soft_wrap=True)
    if not applied:
        out.print(f"{len(mended['statements'])} repairs are planned, and nothing was changed.")
        out.print("Carry them out with --repair --apply.")
        return
    out.print(f"{mended['applied']} repairs applied.")
    if mended["skipped"]:
        out.print(f"{mended['skipped']} were skipped, because their row had changed meanwhile.")
    for failure in mended["failed"]:
        out.print(f"  refused {failure}", style="red", markup=False)
    for file in mended["undo"]:
        out.print(f"To take them back: {file}")
